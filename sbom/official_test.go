package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var officialFormats = map[string]Format{"1.5": CycloneDX15, "1.6": CycloneDX16}

// judgedOtherwise has the official examples that this package judges in another
// way than their names say, and why.
var judgedOtherwise = map[string]string{}

// The examples that the authors of CycloneDX publish are judged as their names
// say, and what is valid survives a round trip.
func TestOfficialExamples(t *testing.T) {
	files, _ := filepath.Glob("../../shared/data/cyclonedx/1.*/*.json")
	if len(files) == 0 {
		t.Skip("the official examples are not here")
	}
	for _, name := range files {
		version := filepath.Base(filepath.Dir(name))
		f := officialFormats[version]
		base := filepath.Base(name)
		doc, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Read(doc, f)
		if valid := strings.HasPrefix(base, "valid-"); valid != (err == nil) {
			if judgedOtherwise[base] == "" {
				t.Errorf("%s: %v", base, err)
			}
			continue
		} else if judgedOtherwise[base] != "" {
			t.Errorf("%s is judged as its name says: %v", base, err)
		}
		if err != nil {
			continue
		}
		if detected, err := Detect(doc); err != nil || detected != f {
			t.Errorf("%s: detected as %s, %v", base, detected, err)
		}
		for _, to := range []Format{CycloneDXXML14, CycloneDXXML15, CycloneDXXML16, CycloneDXXML17} {
			doc := encode(t, g, to)
			back, err := Read(doc, to)
			if err != nil {
				t.Errorf("%s to %s: %v\n%s", base, to, err, doc)
			} else if again := encode(t, back, to); !bytes.Equal(again, doc) {
				t.Errorf("%s to %s: not stable", base, to)
			}
		}
		for _, to := range []Format{f, CycloneDX17} {
			var buf bytes.Buffer
			losses, err := g.Write(&buf, to)
			if err != nil {
				t.Errorf("%s to %s: %v", base, to, err)
				continue
			}
			for _, l := range losses {
				if !l.Kept && !strings.HasSuffix(l.Field, "signature") {
					t.Errorf("%s to %s: lost: %+v", base, to, l)
				}
			}
			back, err := Read(buf.Bytes(), to)
			if err != nil {
				t.Errorf("%s to %s: %v\n%s", base, to, err, buf.Bytes())
				continue
			}
			if again, err := back.Encode(to); err != nil || !bytes.Equal(again, buf.Bytes()) {
				t.Errorf("%s to %s: not stable: %v\n%s\n%s", base, to, err, buf.Bytes(), again)
			}
			var before, after any
			if json.Unmarshal(doc, &before) != nil || json.Unmarshal(buf.Bytes(), &after) != nil {
				t.Fatal("not JSON")
			}
			for _, name := range []string{"serialNumber", "$schema", "version", "specVersion"} {
				delete(before.(map[string]any), name)
			}
			flatten(before.(map[string]any))
			if missing := contained("", before, after); missing != "" {
				t.Errorf("%s to %s: %s is not there any more\n%s", base, to, missing, buf.Bytes())
			}
		}
	}
	t.Logf("%d examples", len(files))
}

// flatten puts components that are inside others beside them, as the graph has
// them: that one contains the other is a relationship there.
func flatten(doc map[string]any) {
	var all []any
	var walk func(c map[string]any)
	walk = func(c map[string]any) {
		inside, _ := c["components"].([]any)
		delete(c, "components")
		for _, x := range inside {
			all = append(all, x)
			walk(x.(map[string]any))
		}
	}
	if m, ok := doc["metadata"].(map[string]any); ok {
		if c, ok := m["component"].(map[string]any); ok {
			walk(c)
		}
	}
	walk(doc)
	if all != nil {
		doc["components"] = all
	}
}

// contained returns the path of something in a that is not in b, whatever the
// order of lists.
func contained(path string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		if !ok {
			return path
		}
		for k, v := range a {
			if k == "signature" {
				continue // a signature of other bytes would not verify
			}
			if where := contained(path+"/"+k, v, m[k]); where != "" {
				return where
			}
		}
		return ""
	case []any:
		list, ok := b.([]any)
		if !ok {
			return path
		}
		for i, v := range a {
			where := fmt.Sprintf("%s/%d", path, i)
			found := false
			for _, w := range list {
				if contained(where, v, w) == "" {
					found = true
					break
				}
			}
			if !found {
				return where
			}
		}
		return ""
	}
	if x, ok := a.(string); ok && a != b {
		// The same time in another zone.
		t, err := time.Parse(time.RFC3339, x)
		y, _ := b.(string)
		if u, err2 := time.Parse(time.RFC3339, y); err == nil && err2 == nil && t.Equal(u) {
			return ""
		}
	}
	if a != b {
		return fmt.Sprintf("%s (%v)", path, a)
	}
	return ""
}
