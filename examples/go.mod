module github.com/hallmark-build/hallmark/examples

go 1.26.8

require github.com/hallmark-build/hallmark v0.0.0

require (
	github.com/sigstore/sigstore-go v1.3.0 // indirect
	golang.org/x/mod v0.41.0 // indirect
)

replace github.com/hallmark-build/hallmark => ..
