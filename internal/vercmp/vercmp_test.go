package vercmp

import (
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// Each line is in ascending order; versions joined by "=" are the same.
var ascending = map[string][]string{
	"npm": {
		"0.0.0-0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0=v1.0.0=1=1.0=1.0.0+build.5 1.0.1 1.1.0 2.0.0 10.0.0",
		"1.0.0-1 1.0.0-2 1.0.0-10 1.0.0-A 1.0.0-a", "1.0.0-9999999999999999999998 1.0.0-9999999999999999999999",
	},
	"Go": {
		"v1.2.3-0.20200101000000-abcdefabcdef v1.2.3-pre v1.2.3=1.2.3=v1.2.3+incompatible v1.2.4-0.20200101000000-abcdefabcdef v1.2.4",
		"1.21.0-0 1.21beta1=1.21.0-beta.1 1.21rc2 1.21rc10 1.21=go1.21=1.21.0 1.21.3",
	},
	"PyPI": {
		"1.0.dev456=1.0.DEV456 1.0a1=1.0.alpha-1=1.0_a_1=v1.0a1 1.0a2.dev456 1.0a12.dev456 1.0a12 1.0b1.dev456 1.0b2 1.0b2.post345.dev456 1.0b2.post345=1.0b2-345 1.0rc1.dev456 1.0rc1=1.0c1=1.0pre1=1.0preview1 1.0=1=1.0.0 1.0+abc.5 1.0+abc.7 1.0+5=1.0+05 1.0+5.1 1.0.post456.dev34 1.0.post456=1.0-456=1.0rev456=1.0.r456 1.1.dev1 1.1 2020.1 1!0.1",
		"1.0a=1.0a0 1.0", "1.9 1.10", "1.0rc 1.0 1.0.post=1.0.post0",
	},
	"Maven": {
		"1-alpha-1=1-a1=1alpha1 1-alpha2 1-beta-1=1b1 1-milestone-1=1-m1 1-rc=1-cr 1-snapshot=1-SNAPSHOT 1=1.0=1.0.0=1-ga=1-final=1.0-release=1.ga 1-sp 1-abc 1-xyz 1-1 1.0.1=1..1 1.1 1.2 1.10 2",
		"2.0.1-xyz 2.0.1-123", "1.0.0.RC1 1.0.0.RELEASE=1.0.0 1.0.0.SP1", "31.0-android 31.0-jre 31.1-android 31.1-jre", "1-foo2 1-foo10=1-foo-10",
		"1.0-alpha 1.0", "2.9.10.7 2.9.10.8 2.10",
	},
	"NuGet":    {"1.0.0-alpha=1.0-ALPHA 1.0.0=1.0.0.0 1.0.0.1 1.0.1"},
	"RubyGems": {"1.0.a 1.0.a.2=1.0.a2 1.0.b1 1.0.rc1 1.0=1=1.0.0 1.0.1 1.10", "1.0-x86 1.0"},
	"Debian": {
		"1.0~rc1-1 1.0-1~deb11u1 1.0-1 1.0-1+b1 1.0-1+deb12u1 1.0-1.1 1.0-2 1.0a-1 1.0+dfsg-1 1.0.1-1 1.2 1.10=0:1.10 1:0.1 2:0",
		"0~~ 0~ 0=0-0=00 0a 0+", "1.2.3-1 1.2.3-10", "1.0-1 1.0-1-1",
	},
	"Ubuntu": {"2.35-0ubuntu3 2.35-0ubuntu3.1 2.35-0ubuntu3.10"},
	"Alpine": {
		"1.2_alpha1 1.2_alpha2 1.2_beta 1.2_pre1 1.2_rc1 1.2_rc1-r1 1.2=1.2-r0 1.2-r1 1.2-r10 1.2_git20200101 1.2_p1 1.2a 1.2b 1.2.1 1.10",
		"3.0.01 3.0.1", "1.1.1w-r1 1.1.1x", "0.9.8_rc1 0.9.8",
	},
	"Rocky Linux": {
		"1.0~rc1-1 1.0-1 1.0^20200101-1 1.0.1-1 1.1 1.10=0:1.10 2.0 1:0.1", "1.0 1.0-1.el9 1.0-1.el9_1 1.0-2.el9", "1.a 1.1", "1.0a 1.0b 1.0.1",
		"1.0~~ 1.0~ 1.0 1.0^ 1.0^1 1.0^1.1", "5.14.0-70.13.1.el9_0 5.14.0-162.6.1.el9_1",
	},
}

func TestOrder(t *testing.T) {
	for eco, lines := range ascending {
		o := For(eco)
		for _, line := range lines {
			groups := strings.Fields(line)
			for i, g := range groups {
				for j, h := range groups {
					for _, a := range strings.Split(g, "=") {
						for _, b := range strings.Split(h, "=") {
							got, err := o(a, b)
							if err != nil {
								t.Errorf("%s: %v", eco, err)
								continue
							}
							if sign(got) != sign(i-j) {
								t.Errorf("%s: %s against %s: want %d, found %d", eco, a, b, sign(i-j), got)
							}
						}
					}
				}
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

func TestNotAVersion(t *testing.T) {
	long := strings.Repeat("1", limits.Version+1)
	for eco, versions := range map[string][]string{
		"npm":   {"", "x", "1.x", "^1.0.0", "1.2.3.4", "1..2", "1.2.3-", "1.2.3-a..b", "1.2.3+", "1.0 ", "latest", "1.0.0-é", long},
		"Go":    {"", "(devel)", "devel", "v", "master", "1.21rc", long},
		"PyPI":  {"", "x", "1.0-", "1.0foo", "1.0+", "1.0+a..b", "1.0+é", "!1", "1!", "1.0.*", "1..0", ">=1", long},
		"Maven": {"", long}, "NuGet": {"", "1.2.3.4.5", "[1.0,2.0)"}, "RubyGems": {"", "a", "1..2", "1.é", ">= 1"},
		"Debian": {"", "1:", "a:1", "1 2", "1/2", "1_2", ":1", long}, "Alpine": {"", "a", "1.", "1_foo", "1-r", "1-rx", "1.2.3-r1-r2", long},
		"Rocky Linux": {"", "x:1", "1-2-3", "1 2", "-1", long},
	} {
		for _, v := range versions {
			for _, pair := range [][2]string{{v, "1"}, {"1", v}} {
				if _, err := For(eco)(pair[0], pair[1]); err == nil {
					t.Errorf("%s: %.40q was taken for a version", eco, v)
				}
			}
		}
	}
	if For("Nobody") != nil {
		t.Error("an order of an unknown ecosystem")
	}
}

// An order is one: the same both ways round, and transitive.
func FuzzOrder(f *testing.F) {
	names := []string{"npm", "Go", "PyPI", "Maven", "NuGet", "RubyGems", "Debian", "Alpine", "Rocky Linux"}
	for i, n := range names {
		for _, line := range ascending[n] {
			v := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '=' })
			for j := range v {
				f.Add(byte(i), v[j], v[(j+1)%len(v)], v[(j+5)%len(v)])
			}
		}
	}
	f.Fuzz(func(t *testing.T, which byte, a, b, c string) {
		name := names[int(which)%len(names)]
		o := For(name)
		ab, err1 := o(a, b)
		ba, err2 := o(b, a)
		bc, err3 := o(b, c)
		ac, err4 := o(a, c)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
			return
		}
		if aa, err := o(a, a); err != nil || aa != 0 {
			t.Errorf("%s: %q is not itself: %d, %v", name, a, aa, err)
		}
		if sign(ab) != -sign(ba) {
			t.Errorf("%s: %q against %q: %d, and back %d", name, a, b, ab, ba)
		}
		if ab <= 0 && bc <= 0 && ac > 0 || ab == 0 && bc == 0 && ac != 0 {
			t.Errorf("%s: %q, %q, %q: %d, %d, but %d", name, a, b, c, ab, bc, ac)
		}
	})
}
