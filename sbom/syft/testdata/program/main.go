// Program links what package syft links. Benchmarks look into it.
package main

import _ "github.com/hallmark-build/hallmark/sbom/syft"

func main() {}
