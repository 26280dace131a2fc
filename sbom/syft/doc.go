package syft
