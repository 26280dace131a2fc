module github.com/hallmark-build/hallmark/internal/e2e

go 1.26.8

require github.com/hallmark-build/hallmark v0.0.0

replace github.com/hallmark-build/hallmark => ../..
