// Package sbomtest holds the tests of package sbom that need more than the top
// module may depend on: validation against the official schemas.
package sbomtest
