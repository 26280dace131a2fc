package verify

import (
	"github.com/hallmark-build/hallmark/provenance"
)

// Contents is a package and the files in it.
type Contents struct {
	artifact provenance.Artifact
	members  []provenance.ResourceDescriptor
}
