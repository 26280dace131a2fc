package diff

import "testing"

func TestCompareVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
		sure bool
	}{
		{"1.0.0", "1.0.0", 0, true}, {"1.9", "1.10", -1, true}, {"v1.2.3", "1.2.4", -1, true}, {"1.0.0-rc.1", "1.0.0", -1, true},
		{"1.0.0-rc.2", "1.0.0-rc.10", -1, true}, {"1.0.0-alpha", "1.0.0-beta", -1, true}, {"1:1.0", "2.0", 1, true}, {"1.0~rc1", "1.0", -1, true},
		{"1.0a1", "1.0", -1, true}, {"1.0", "1.0.1", -1, true}, {"1.0", "1.0.0", 0, false}, {"1.0+a", "1.0+b", 0, false},
		{"0.0.0-20240101", "0.0.0-20250101", -1, true}, {"20000000000000000000000", "3", 1, true}, {"latest", "1.0", 1, false}, {"", "1", -1, false},
	} {
		for _, swap := range []bool{false, true} {
			a, b, want := c.a, c.b, c.want
			if swap {
				a, b, want = b, a, -want
			}
			if got, sure := compareVersions(a, b); sign(got) != want || sure != c.sure {
				t.Errorf("%s and %s: %d, %v, want %d, %v", a, b, got, sure, want, c.sure)
			}
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1.0.0-rc.1", "v1.0.0+x")
	f.Add("1:2~3", "_._")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, sure := compareVersions(a, b)
		y, alike := compareVersions(b, a)
		if sign(x) != -sign(y) || sure != alike {
			t.Errorf("%q and %q: %d %v, the other way %d %v", a, b, x, sure, y, alike)
		}
	})
}
