package scan

import (
	"slices"
	"testing"
)

// What a layer takes away is what its markers name, and not what they look like.
func TestAttackWhiteouts(t *testing.T) {
	base := tarOf("usr/lib/os-release=ID=debian\nVERSION_ID=12\n", "var/lib/dpkg/status="+deb("base"), "app/go.mod=module kept.here")
	for name, marker := range map[string]string{
		"of a directory with a dot in front":  ".app/.wh..wh..opq=",
		"of a directory with dots in front":   "..app/.wh..wh..opq=",
		"of a hidden file":                    ".wh..app=",
		"of nothing":                          "var/lib/.wh.=",
		"of a directory itself":               "var/lib/.wh..=",
		"of the directory above":              "var/lib/dpkg/.wh...=",
		"of nothing, below what is not there": "app/x/.wh...=",
	} {
		list := summary(scanImage(t, write(t, layout(base, tarOf(marker))), Options{}))
		for _, want := range []string{". > golang/kept.here", ". > deb/debian/base@1?arch=all&distro=debian-12"} {
			if !slices.Contains(list, want) {
				t.Errorf("a marker %s (%s) hides %s: %q", name, marker, want, list)
			}
		}
	}
	list := summary(scanImage(t, write(t, layout(base, tarOf("app/.wh..wh..opq="))), Options{}))
	if slices.Contains(list, ". > golang/kept.here") {
		t.Error("an opaque directory hides nothing")
	}
	root := summary(scanImage(t, write(t, layout(base, tarOf(".wh..wh..opq=", "b/go.mod=module b"))), Options{}))
	if slices.Contains(root, ". > golang/kept.here") {
		t.Error("an opaque root hides nothing")
	}
}
