package spdxlicense

import (
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"mit":                     "MIT",
		"MIT or apache-2.0":       "MIT OR Apache-2.0",
		"(MIT AND (ISC OR Zlib))": "(MIT AND (ISC OR Zlib))",
		"GPL-2.0+":                "GPL-2.0+",
		"Apache-2.0+":             "Apache-2.0+",
		"GPL-2.0-only WITH classpath-exception-2.0": "GPL-2.0-only WITH Classpath-exception-2.0",
		"LicenseRef-x.1":                     "LicenseRef-x.1",
		"DocumentRef-a:LicenseRef-b AND MIT": "DocumentRef-a:LicenseRef-b AND MIT",
	} {
		got, err := Normalize(in)
		if err != nil || got != want {
			t.Errorf("Normalize(%q) = %q, %v; want %q", in, got, err, want)
		}
		if again, err := Normalize(got); again != got {
			t.Errorf("Normalize(%q) = %q, %v: not stable", got, again, err)
		}
	}
	for _, in := range []string{
		"", "NONE", "NOASSERTION", "Proprietary", "MIT AND", "AND MIT", "MIT Apache-2.0", "(MIT", "MIT)", "MIT WITH", "MIT WITH x",
		"LicenseRef-", "LicenseRef-a_b", "DocumentRef-a", "MIT OR\x00ISC", strings.Repeat("(", 100) + "MIT" + strings.Repeat(")", 100),
		strings.Repeat("MIT AND ", 5000) + "MIT",
	} {
		if got, err := Normalize(in); err == nil {
			t.Errorf("Normalize(%.40q) = %.40q, want an error", in, got)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("(MIT OR Apache-2.0) AND GPL-2.0-only WITH Classpath-exception-2.0")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Normalize(s)
		if err != nil {
			return
		}
		if again, err := Normalize(got); again != got {
			t.Fatalf("%q, then %q (%v)", got, again, err)
		}
	})
}
