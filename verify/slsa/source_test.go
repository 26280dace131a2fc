package slsa

import "testing"

func TestRepository(t *testing.T) {
	for in, want := range map[string][2]string{
		"github.com/octo/app":                              {"https://github.com/octo/app", ""},
		"git+https://github.com/octo/app.git":              {"https://github.com/octo/app", ""},
		"git+https://github.com/octo/app@refs/tags/v1":     {"https://github.com/octo/app", "refs/tags/v1"},
		"https://github.com/octo/app.git@refs/heads/a@b":   {"https://github.com/octo/app", "refs/heads/a@b"},
		"https://github.com/octo/app/":                     {"https://github.com/octo/app", ""},
		"https://github.com@evil.example/octo/app":         {"https://github.com@evil.example/octo/app", ""},
		"https://github.com/octo/app?x=https://github.com": {"https://github.com/octo/app?x=https://github.com", ""},
		"ssh://git@github.com/octo/app":                    {"ssh://git@github.com/octo/app", ""},
		"gs://bucket/source.tgz#1":                         {"gs://bucket/source.tgz#1", ""},
		"":                                                 {"", ""},
		"git+":                                             {"", ""},
	} {
		repo, ref := repository(in)
		if repo != want[0] || ref != want[1] {
			t.Errorf("repository(%q) = %q, %q, want %q", in, repo, ref, want)
		}
	}
}

func TestMatchVersion(t *testing.T) {
	for _, c := range []struct {
		tag, want string
		ok        bool
	}{
		{"v1.2.3", "v1", true}, {"v1.2.3", "v1.2", true}, {"v1.2.3", "v1.2.3", true}, {"v1.2.3+build", "v1.2.3", true},
		{"v1.2.3", "v1.2.4", false}, {"v1.2.3", "v1.3", false}, {"v1.2.3", "v2", false}, {"v10.2.3", "v1", false}, {"v1.20.3", "v1.2", false},
		{"v1.2.3-rc.1", "v1.2.3", false}, {"v1.2.3-rc.1", "v1.2", false}, {"v1.2.3-rc.1", "v1", false}, {"v1.2.3-rc.1", "v1.2.3-rc.1", true},
		{"1.2.3", "v1", false}, {"v1.2.3", "1", false}, {"", "v1", false}, {"v1.2.3", "", false}, {"v1x", "v1", false}, {"v1", "v1", true}, {"v1.2", "v1.2.0", true},
		{"release/v1.2.3", "v1", false}, {"v01.2.3", "v1", false},
	} {
		if got := matchVersion(c.tag, c.want); got != c.ok {
			t.Errorf("matchVersion(%q, %q) = %v", c.tag, c.want, got)
		}
	}
}

func TestReleaseTag(t *testing.T) {
	for ref, want := range map[string]bool{
		"refs/tags/v1.2.3": true, "refs/tags/v1.2": false, "refs/tags/v1": false, "refs/tags/v1.2.3-rc.1": false, "refs/heads/v1.2.3": false,
		"v1.2.3": false, "refs/tags/v1.2.3+x": false, "refs/tags/x/v1.2.3": false, "refs/tags/v1.2.3@evil": false, "": false,
	} {
		if isReleaseTag(ref) != want {
			t.Errorf("isReleaseTag(%q) = %v", ref, !want)
		}
	}
}

func TestTables(t *testing.T) {
	if _, err := compile(Builders()); err != nil {
		t.Fatal(err)
	}
	good := GitHubAttestations()[0]
	for name, change := range map[string]func(*Builder){
		"no signer": func(b *Builder) { b.Issuer, b.Subjects = "", nil }, "no subject": func(b *Builder) { b.Subjects = nil },
		"no issuer": func(b *Builder) { b.Issuer = "" }, "key and issuer": func(b *Builder) { b.Key = "ab" },
		"key without ids": func(b *Builder) { b.Key, b.Issuer, b.Subjects = "ab", "", nil },
		"level 0":         func(b *Builder) { b.Level = 0 }, "level 4": func(b *Builder) { b.Level = 4 },
		"no format": func(b *Builder) { b.Formats = nil }, "unknown format": func(b *Builder) { b.Formats = []Format{"x"} },
		"bad pattern": func(b *Builder) { b.Subjects = []string{"a[b"} }, "empty pattern": func(b *Builder) { b.IDs = []string{""} },
	} {
		b := good
		change(&b)
		if _, err := compile([]Builder{b}); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
	if _, err := compile(GitHubDelegated("x")); err == nil {
		t.Error("delegated builders, none named: compiled")
	}
	for _, d := range dialects {
		for _, bt := range d.buildTypes {
			if got := dialectOf(bt); got.format != d.format {
				t.Errorf("%s is read as %s, want %s", bt, got.format, d.format)
			}
		}
	}
	for _, near := range []string{"https://actions.github.io/buildtypes/workflow/v1/", "https://actions.github.io/buildtypes/workflow/v10", ""} {
		if got := dialectOf(near).format; got != FormatOther {
			t.Errorf("%q is read as %s", near, got)
		}
	}
}
