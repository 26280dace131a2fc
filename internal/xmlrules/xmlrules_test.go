package xmlrules

import "testing"

func TestLoad(t *testing.T) {
	for _, v := range []string{"1.4", "1.5", "1.6", "1.7"} {
		r, err := Load(v)
		if err != nil {
			t.Fatal(err)
		}
		for name, rule := range r.types {
			for _, u := range append(rule.Union, rule.Text, rule.Base) {
				if u != "" && r.types[u] == nil && !builtin(u) {
					t.Errorf("%s: %s: no type %q", v, name, u)
				}
			}
			for a, x := range rule.Attrs {
				if r.types[x.Type] == nil && !builtin(x.Type) {
					t.Errorf("%s: %s: no type %q of %s", v, name, x.Type, a)
				}
			}
		}
	}
	if _, err := Load("1.3"); err == nil {
		t.Error("there are rules for 1.3")
	}
}

func TestText(t *testing.T) {
	r, err := Load("1.6")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		typ, text string
		good      bool
	}{
		{"xs:boolean", " true ", true}, {"xs:boolean", "yes", false},
		{"xs:integer", "-1", true}, {"xs:nonNegativeInteger", "-1", false}, {"xs:nonNegativeInteger", "-0", true},
		{"xs:positiveInteger", "0", false}, {"xs:positiveInteger", "+1", true},
		{"xs:decimal", "0.5", true}, {"xs:decimal", "1e5", false},
		{"xs:dateTime", "2024-01-02T03:04:05Z", true}, {"xs:dateTime", "2024-01-02T03:04:05", true}, {"xs:dateTime", "2024-01-02", false},
		{"xs:date", "2024-01-02", true}, {"xs:anyURI", "a b", false}, {"xs:anyURI", "https://example.org", true},
		{"spdx:licenseId", "MIT", true}, {"spdx:licenseId", "mit", false},
		{"scope", "required", true}, {"scope", " required ", false}, {"classification", "library", true}, {"classification", "book", false},
		{"hashValue", "85ed0817af83a24ad8da68c2b5094de69833983c", true}, {"hashValue", "85", false},
		{"cpe", "cpe:2.3:a:x:y:1:*:*:*:*:*:*:*", true}, {"cpe", "cpe:2.3:x", false},
		{"urnUuid", "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", true}, {"urnUuid", "urn:uuid:1", false},
		{"decimalPercentType", "1.1", false}, {"decimalPercentType", "0.9", true}, {"no such type", "x", false},
	} {
		if err := r.text(c.text, c.typ); (err == nil) != c.good {
			t.Errorf("%s %q: %v", c.typ, c.text, err)
		}
	}
}

func TestOrder(t *testing.T) {
	r, err := Load("1.6")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		names []string
		good  bool
	}{
		{[]string{"name"}, true}, {[]string{"supplier", "name", "version", "*"}, true}, {nil, false}, {[]string{"version", "name"}, false},
		{[]string{"name", "name"}, false}, {[]string{"name", "nonsense"}, false}, {[]string{"name", "swhid", "swhid"}, true}, {[]string{"*", "name"}, false},
	} {
		if err := r.Order("component", c.names); (err == nil) != c.good {
			t.Errorf("%v: %v", c.names, err)
		}
	}
}
