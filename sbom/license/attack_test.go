package license_test

import (
	"testing"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/license"
)

// References are compared whole, whatever they end in; old spellings of a
// licence with an exception are that licence.
func TestAttackSpellings(t *testing.T) {
	ours, err := license.New(license.Policy{Allow: []string{"LicenseRef-Ours", "MIT"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"LicenseRef-Ours-only", "LicenseRef-Ours-or-later", "DocumentRef-x:LicenseRef-Ours", "LicenseRef-ours",
		"MIT AND (MIT OR MIT) AND GPL-2.0-only", "MIT OR MIT AND NOASSERTION", "MIT-or-later"} {
		if err := ours.Allows(s); err == nil {
			t.Errorf("%s is allowed by a policy of LicenseRef-Ours and MIT", s)
		}
	}
	deny, err := license.New(license.Policy{Deny: []string{"GPL-2.0-or-later", "GPL-3.0-only"}, UnsafeAllowUnlisted: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"GPL-2.0", "GPL-2.0+", "gpl-2.0-ONLY", "GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-with-classpath-exception",
		"GPL-2.0-with-GCC-exception", "GPL-2.0-with-autoconf-exception", "GPL-2.0-with-bison-exception", "GPL-2.0-with-font-exception",
		"GPL-3.0-with-autoconf-exception", "GPL-3.0-with-GCC-exception", "eCos-2.0"} {
		if err := deny.Allows(s); err == nil {
			t.Errorf("%s is allowed by a policy that denies the GPL", s)
		}
	}
}

// A licence without a name beside one that is fine is not nothing.
func TestAttackNamelessLicence(t *testing.T) {
	doc := `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"component":{"type":"application","name":"a","bom-ref":"a","licenses":[{"license":{"id":"MIT"}}]}},
		"components":[{"type":"library","name":"b","bom-ref":"b","licenses":[{"license":{"name":"","text":{"content":"All rights reserved."}}},{"license":{"id":"MIT"}}]}]}`
	g, err := sbom.Read([]byte(doc), sbom.CycloneDX)
	if err != nil {
		t.Skip(err) // refused, which is fine too
	}
	p, err := license.New(license.Policy{Allow: []string{"MIT"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Check(g)
	if err != nil {
		t.Fatal(err)
	}
	if r.Err() == nil {
		t.Error("passes")
	}
}
