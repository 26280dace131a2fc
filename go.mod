module github.com/hallmark-build/hallmark

go 1.26.0
