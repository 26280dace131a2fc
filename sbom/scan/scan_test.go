package scan

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallmark-build/hallmark/sbom"
)

var created = time.Unix(1_700_000_000, 0)

func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func scanDir(t testing.TB, dir string) *sbom.Graph {
	t.Helper()
	g, err := Dir(context.Background(), dir, Options{Created: created, Name: "tree"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// summary lists components ("id|scope|source of identity|digest algorithms"),
// edges between them and unknowns that are not about single fields.
func summary(g *sbom.Graph) []string {
	var out []string
	name := func(id string) string {
		if id == g.Root().ID {
			return "."
		}
		return strings.NewReplacer("pkg:", "", "%40", "@").Replace(id)
	}
	for _, c := range g.Components() {
		if c == g.Root() {
			continue
		}
		var algs []string
		for _, d := range c.Digests {
			algs = append(algs, string(d.Algorithm()))
		}
		src := ""
		for _, e := range c.Evidence {
			if e.Field == sbom.FieldIdentity {
				src = string(e.Source)
			}
		}
		out = append(out, fmt.Sprintf("%s|%s|%s|%s", name(c.ID), c.Scope, src, strings.Join(algs, ",")))
	}
	for _, r := range g.Relationships() {
		out = append(out, name(r.From)+" > "+name(r.To))
	}
	for _, u := range g.Unknowns() {
		switch u.Reason {
		case ReasonScanned, ReasonMetadata, ReasonNoPURL, ReasonNoDigest, ReasonNoLicence, ReasonNoSupplier, ReasonNoVersion:
		default:
			out = append(out, "? "+u.Reason+" "+strings.NewReplacer("pkg:", "", "%40", "@").Replace(u.Component+" "+u.Detail))
		}
	}
	slices.Sort(out)
	return out
}

func sri(alg string, size int, fill byte) string {
	return alg + "-" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, size))
}

var sha512A = sri("sha512", 64, 1)

var ecosystems = []struct {
	name  string
	files map[string]string
	want  string
}{
	{"npm-v3", map[string]string{"package-lock.json": `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{
		"":{"name":"app","version":"1.0.0","dependencies":{"a":"^1"},"devDependencies":{"d":"1"}},
		"node_modules/a":{"version":"1.0.1","resolved":"https://user:secret@registry.npmjs.org/a/-/a-1.0.1.tgz?token=x","integrity":"` + sha512A + `","license":"MIT","dependencies":{"@s/b":"1"},"optionalDependencies":{"o":"1"}},
		"node_modules/@s/b":{"version":"2.0.0"},
		"node_modules/a/node_modules/@s/b":{"version":"1.0.0"},
		"node_modules/d":{"version":"3.0.0","dev":true,"dependencies":{"@s/b":"2","gone":"1"}},
		"node_modules/o":{"version":"1.0.0","optional":true},
		"node_modules/al":{"name":"real","version":"9.0.0"},
		"packages/w":{"version":"0.1.0","dependencies":{"a":"*"}},
		"node_modules/w":{"resolved":"packages/w","link":true}}}`}, `
		npm/@s/b@1.0.0|required|locked|
		npm/@s/b@2.0.0|required|locked|
		npm/a@1.0.1|required|locked|sha512
		npm/app@1.0.0|required|declared|
		npm/d@3.0.0|excluded|locked|
		npm/o@1.0.0|optional|locked|
		npm/real@9.0.0|required|locked|
		npm/w@0.1.0|required|declared|
		. > npm/app@1.0.0
		npm/a@1.0.1 > npm/@s/b@1.0.0
		npm/a@1.0.1 > npm/o@1.0.0
		npm/app@1.0.0 > npm/a@1.0.1
		npm/app@1.0.0 > npm/d@3.0.0
		npm/app@1.0.0 > npm/real@9.0.0
		npm/app@1.0.0 > npm/w@0.1.0
		npm/d@3.0.0 > npm/@s/b@2.0.0
		npm/w@0.1.0 > npm/a@1.0.1
		? unresolved-dependency npm/d@3.0.0 ^gone`},
	{"npm-v1", map[string]string{"package-lock.json": `{"name":"app","version":"1.0.0","lockfileVersion":1,"dependencies":{
		"a":{"version":"1.0.0","integrity":"` + sha512A + ` ` + sri("sha1", 20, 1) + `","requires":{"b":"^1"},"dependencies":{"b":{"version":"1.5.0","bundled":true}}},
		"b":{"version":"2.0.0","dev":true},
		"g":{"version":"git+ssh://git@github.com/x/g.git#0123456789012345678901234567890123456789"},
		"al":{"version":"npm:real@9.0.0"}}}`}, `
		npm/a@1.0.0|required|locked|sha512,sha1
		npm/app@1.0.0|required|declared|
		npm/b@1.5.0|required|locked|
		npm/b@2.0.0|excluded|locked|
		npm/g@git%2Bssh:%2F%2Fgit@github.com%2Fx%2Fg.git%230123456789012345678901234567890123456789?vcs_url=git%2Bssh:%2F%2Fgithub.com%2Fx%2Fg.git%230123456789012345678901234567890123456789|required|locked|
		npm/real@9.0.0|required|locked|
		. > npm/app@1.0.0
		npm/a@1.0.0 > npm/b@1.5.0
		npm/app@1.0.0 > npm/a@1.0.0
		npm/app@1.0.0 > npm/b@2.0.0
		npm/app@1.0.0 > npm/g@git%2Bssh:%2F%2Fgit@github.com%2Fx%2Fg.git%230123456789012345678901234567890123456789?vcs_url=git%2Bssh:%2F%2Fgithub.com%2Fx%2Fg.git%230123456789012345678901234567890123456789
		npm/app@1.0.0 > npm/real@9.0.0`},
	{"npm-installed", map[string]string{
		"package-lock.json": `{"name":"app","lockfileVersion":3,"packages":{"":{"dependencies":{"a":"1","drift":"1"}},
			"node_modules/a":{"version":"1.0.0","integrity":"` + sha512A + `","optionalDependencies":{"fsevents":"2"}},
			"node_modules/drift":{"version":"1.0.0"},
			"node_modules/fsevents":{"version":"2.0.0","optional":true,"os":["darwin"]}}}`,
		"node_modules/a/package.json":                    `{"name":"a","version":"1.0.0","license":"MIT","author":"Jo <jo@example.com>","dependencies":{"drift":"1"}}`,
		"node_modules/a/lib/package.json":                `{"type":"module"}`,
		"node_modules/a/package-lock.json":               `{"lockfileVersion":3,"packages":{"node_modules/noise":{"version":"1.0.0"}}}`,
		"node_modules/drift/package.json":                `{"name":"drift","version":"1.1.0"}`,
		"node_modules/twice/package.json":                `{"name":"x","version":"1.0.0","name":"twice"}`,
		"node_modules/broken/package.json":               `{`,
		"node_modules/@s/p/package.json":                 "\xef\xbb\xbf" + `{"name":"@s/p","version":"0.0.1","license":{"type":"ISC"}}`,
		"node_modules/@s/p/node_modules/a/package.json":  `{"name":"a","version":"0.9.0"}`,
		"node_modules/@s/p/test/node_modules/f/index.js": ``,
	}, `
		npm/@s/p@0.0.1||observed|
		npm/a@0.9.0||observed|
		npm/a@1.0.0|required|observed|sha512
		npm/app|required|declared|
		npm/broken||observed|
		npm/drift@1.1.0||observed|
		npm/twice@1.0.0||observed|
		. > npm/@s/p@0.0.1
		. > npm/a@0.9.0
		. > npm/app
		. > npm/broken
		. > npm/twice@1.0.0
		npm/a@1.0.0 > npm/drift@1.1.0
		npm/app > npm/a@1.0.0
		npm/app > npm/drift@1.1.0
		? malformed  node_modules/broken/package.json: unterminated object at byte 1
		? malformed  node_modules/twice/package.json: duplicate name "name" at byte 36
		? not-installed  package-lock.json: drift@1.0.0
		? not-installed  package-lock.json: fsevents@2.0.0`},
	{"npm-conflict", map[string]string{
		"x/package-lock.json": `{"name":"x","lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0","integrity":"` + sha512A + `"}}}`,
		"y/package-lock.json": `{"name":"y","lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0","integrity":"` + sri("sha512", 64, 2) + `"}, "node_modules/b":{"version":"1.0.0","integrity":"sha512-short"}}}`,
	}, `
		npm/a@1.0.0|required|locked|sha512
		npm/a@1.0.0#2|required|locked|sha512
		npm/b@1.0.0|required|locked|
		. > npm/a@1.0.0
		. > npm/a@1.0.0#2
		. > npm/b@1.0.0
		? bad-digest  y/package-lock.json: b@1.0.0: integrity sha512-short
		? digest-conflict npm/a@1.0.0 another component has the package URL npm/a@1.0.0 and other digests
		? digest-conflict npm/a@1.0.0#2 another component has the package URL npm/a@1.0.0 and other digests`},
	{"pnpm-v5", map[string]string{"pnpm-lock.yaml": `lockfileVersion: 5.4
specifiers: {a: ^1, d: ^1}
dependencies:
  a: 1.0.0_d@2.0.0
  '@s/b': 2.0.0
devDependencies:
  d: 2.0.0
packages:
  /a/1.0.0_d@2.0.0:
    resolution: {integrity: ` + sha512A + `}
    dependencies: {c: 3.0.0}
  /@s/b/2.0.0: {resolution: {integrity: ` + sha512A + `}}
  /c/3.0.0: {resolution: {integrity: ` + sha512A + `}}
  /d/2.0.0: {resolution: {integrity: ` + sha512A + `}, dev: true, dependencies: {c: 3.0.0}}
`}, `
		npm/@s/b@2.0.0|required|locked|sha512
		npm/a@1.0.0|required|locked|sha512
		npm/c@3.0.0|required|locked|sha512
		npm/d@2.0.0|excluded|locked|sha512
		. > npm/@s/b@2.0.0
		. > npm/a@1.0.0
		. > npm/d@2.0.0
		npm/a@1.0.0 > npm/c@3.0.0
		npm/d@2.0.0 > npm/c@3.0.0`},
	{"pnpm-v6", map[string]string{"pnpm-lock.yaml": `lockfileVersion: '6.0'
importers:
  .:
    dependencies:
      a: {specifier: ^1, version: 1.0.0(d@2.0.0)}
    optionalDependencies:
      al: {specifier: 'npm:real@1', version: /real@1.0.0}
  packages/w:
    devDependencies:
      d: {specifier: ^2, version: 2.0.0}
      a: {specifier: 'workspace:*', version: 'link:../a'}
packages:
  /a@1.0.0(d@2.0.0):
    resolution: {integrity: ` + sha512A + `}
    dependencies: {'@s/b': 2.0.0}
  /@s/b@2.0.0: {resolution: {integrity: ` + sha512A + `}}
  /d@2.0.0: {resolution: {integrity: ` + sha512A + `}}
  /real@1.0.0: {resolution: {integrity: ` + sha512A + `}}
`}, `
		npm/@s/b@2.0.0|required|locked|sha512
		npm/a@1.0.0|required|locked|sha512
		npm/d@2.0.0|excluded|locked|sha512
		npm/real@1.0.0|optional|locked|sha512
		. > npm/a@1.0.0
		. > npm/d@2.0.0
		. > npm/real@1.0.0
		npm/a@1.0.0 > npm/@s/b@2.0.0`},
	{"pnpm-v9", map[string]string{"pnpm-lock.yaml": `lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      a: {specifier: ^1, version: 1.0.0(d@2.0.0)}
      al: {specifier: 'npm:@s/b@2', version: '@s/b@2.0.0'}
packages:
  a@1.0.0: {resolution: {integrity: ` + sha512A + `}, peerDependencies: {d: '*'}}
  '@s/b@2.0.0': {resolution: {integrity: ` + sha512A + `}}
  d@2.0.0: {resolution: {integrity: ` + sha512A + `}}
snapshots:
  a@1.0.0(d@2.0.0):
    dependencies: {d: 2.0.0}
  '@s/b@2.0.0': {}
  d@2.0.0: {}
`}, `
		npm/@s/b@2.0.0|required|locked|sha512
		npm/a@1.0.0|required|locked|sha512
		npm/d@2.0.0|required|locked|sha512
		. > npm/@s/b@2.0.0
		. > npm/a@1.0.0
		npm/a@1.0.0 > npm/d@2.0.0`},
	{"yarn-v1", map[string]string{"yarn.lock": `# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.
# yarn lockfile v1


"@s/b@^1.0.0", "@s/b@^1.1.0":
  version "1.2.0"
  resolved "https://registry.yarnpkg.com/@s/b/-/b-1.2.0.tgz#0101010101010101010101010101010101010101"
  integrity ` + sha512A + `

a@1.x:
  version "1.0.0"
  resolved "https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#0101010101010101010101010101010101010101"
  dependencies:
    "@s/b" "^1.1.0"
  optionalDependencies:
    gone "^1"

"al@npm:real@2":
  version "2.0.0"
`}, `
		npm/@s/b@1.2.0||locked|sha512,sha1
		npm/a@1.0.0||locked|sha1
		npm/real@2.0.0||locked|
		. > npm/a@1.0.0
		. > npm/real@2.0.0
		npm/a@1.0.0 > npm/@s/b@1.2.0`},
	{"yarn-berry", map[string]string{"yarn.lock": `# This file is generated by running "yarn install" inside your project.

__metadata:
  version: 8
  cacheKey: 10c0

"@s/b@npm:^1.0.0, @s/b@npm:^1.1.0":
  version: 1.2.0
  resolution: "@s/b@npm:1.2.0"
  checksum: 10c0/abcd
  languageName: node
  linkType: hard

"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  dependencies:
    "@s/b": "npm:^1.1.0"
    c: "npm:^1"
  dependenciesMeta:
    c:
      optional: true
  languageName: unknown
  linkType: soft
`}, `
		npm/@s/b@1.2.0||locked|
		npm/app||declared|
		. > npm/app
		npm/app > npm/@s/b@1.2.0`},
	{"dpkg", map[string]string{
		"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nHOME_URL=\"https://www.debian.org/\"\n",
		"var/lib/dpkg/status": `Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9+deb12u1
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Depends: libgcc-s1
Description: C library
 with more: lines

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Version: 12.2.0-14

Package: mawk
Status: install ok installed
Architecture: amd64
Version: 1.3.4
Provides: awk (= 1)
Pre-Depends: libc6 (>= 2.36)

Package: script
Status: install ok unpacked
Architecture: all
Version: 1:2
Depends: gawk | awk, missing

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
`}, `
		deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12|required|observed|
		deb/debian/libgcc-s1@12.2.0-14?arch=amd64&distro=debian-12|required|observed|
		deb/debian/mawk@1.3.4?arch=amd64&distro=debian-12|required|observed|
		deb/debian/script@1:2?arch=all&distro=debian-12|required|observed|
		operating-system:debian@12||observed|
		. > deb/debian/script@1:2?arch=all&distro=debian-12
		. > operating-system:debian@12
		deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12 > deb/debian/libgcc-s1@12.2.0-14?arch=amd64&distro=debian-12
		deb/debian/mawk@1.3.4?arch=amd64&distro=debian-12 > deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12
		deb/debian/script@1:2?arch=all&distro=debian-12 > deb/debian/mawk@1.3.4?arch=amd64&distro=debian-12
		? unresolved-dependency deb/debian/script@1:2?arch=all&distro=debian-12 missing`},
	{"distroless", map[string]string{
		"usr/lib/os-release":                 "ID=debian\nVERSION_ID=12\n",
		"var/lib/dpkg/status.d/base":         "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n",
		"var/lib/dpkg/status.d/base.md5sums": "x",
		"var/lib/dpkg/status.d/tz":           "Package: tzdata\nVersion: 2024a\nArchitecture: all\nDepends: base-files\n",
	}, `
		deb/debian/base-files@12.4?arch=amd64&distro=debian-12|required|observed|
		deb/debian/tzdata@2024a?arch=all&distro=debian-12|required|observed|
		operating-system:debian@12||observed|
		. > deb/debian/tzdata@2024a?arch=all&distro=debian-12
		. > operating-system:debian@12
		deb/debian/tzdata@2024a?arch=all&distro=debian-12 > deb/debian/base-files@12.4?arch=amd64&distro=debian-12`},
	{"apk", map[string]string{
		"etc/os-release":       "ID=alpine\nVERSION_ID=3.19.1\n",
		"lib/apk/db/installed": "C:Q1AQEBAQEBAQEBAQEBAQEBAQEBAQE=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\nm:Timo <timo@example.com>\no:musl\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld\n\nP:busybox\nV:1.36\nA:x86_64\nL:GPL-2.0-only\nD:so:libc.musl-x86_64.so.1 !bad\n\n",
	}, `
		apk/alpine/busybox@1.36?arch=x86_64&distro=alpine-3.19.1|required|observed|
		apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1|required|observed|
		operating-system:alpine@3.19.1||observed|
		. > apk/alpine/busybox@1.36?arch=x86_64&distro=alpine-3.19.1
		. > operating-system:alpine@3.19.1
		apk/alpine/busybox@1.36?arch=x86_64&distro=alpine-3.19.1 > apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1`},
	{"rpm", map[string]string{"var/lib/rpm/rpmdb.sqlite": "SQLite format 3\x00", "usr/lib/sysimage/rpm/Packages.db": "x"}, `
		? malformed  usr/lib/sysimage/rpm/Packages.db: want 32 bytes at 0, found 1
		? malformed  var/lib/rpm/rpmdb.sqlite: want 100 bytes at 0, found 16`},
	{"requirements", map[string]string{"requirements.txt": `# comment
--index-url https://example.com/simple
Flask_Login==0.6.3 ; python_version > "3" # why
requests[socks] == 2.31.0 \
    --hash=sha256:` + strings.Repeat("ab", 32) + `
ranged>=1,<2
six @ https://example.com/six-1.0.tar.gz
-e ./local
../path/pkg
`}, `
		pypi/flask-login@0.6.3||declared|
		pypi/ranged||declared|
		pypi/requests@2.31.0||locked|sha256
		pypi/six||declared|
		. > pypi/flask-login@0.6.3
		. > pypi/ranged
		. > pypi/requests@2.31.0
		. > pypi/six
		? malformed  requirements.txt: line 9: no name of a project: ../path/pkg
		? no-exact-version  requirements.txt: line 8: an editable installation
		? no-exact-version pypi/ranged 
		? no-exact-version pypi/six `},
	{"poetry", map[string]string{"poetry.lock": `
[[package]]
name = "Requests"
version = "2.31.0"
optional = false
files = [{file = "requests-2.31.0.tar.gz", hash = "sha256:` + strings.Repeat("ab", 32) + `"}]
[package.dependencies]
urllib3 = ">=1"
win = {version = "*", markers = "x"}

[[package]]
name = "urllib3"
version = "2.0.0"
optional = true
groups = ["main"]
files = [
  {file = "a.whl", hash = "sha256:` + strings.Repeat("ab", 32) + `"},
  {file = "b.whl", hash = "sha256:` + strings.Repeat("cd", 32) + `"}]

[[package]]
name = "pytest"
version = "8"
groups = ["dev"]
`}, `
		pypi/pytest@8|excluded|locked|
		pypi/requests@2.31.0||locked|sha256
		pypi/urllib3@2.0.0|optional|locked|
		. > pypi/pytest@8
		. > pypi/requests@2.31.0
		pypi/requests@2.31.0 > pypi/urllib3@2.0.0`},
	{"pylock", map[string]string{"pylock.dev.toml": `lock-version = "1.0"
created-by = "x"
[[packages]]
name = "Flask"
version = "3.0.0"
dependencies = [{name = "click"}, {name = "gone", marker = "os_name == 'nt'"}]
[[packages.wheels]]
name = "flask-3.0.0-py3-none-any.whl"
url = "https://files.pythonhosted.org/flask-3.0.0-py3-none-any.whl"
[packages.wheels.hashes]
sha256 = "` + strings.Repeat("ab", 32) + `"
[[packages]]
name = "click"
version = "8.1.7"
sdist = {name = "click.tar.gz", hashes = {sha512 = "zz"}}
[[packages]]
name = "own"
vcs = {type = "git", url = "https://example.com/own.git", commit-id = "` + strings.Repeat("1", 40) + `"}
[[packages]]
version = "1"
`}, `
		pypi/click@8.1.7||locked|
		pypi/flask@3.0.0||locked|sha256
		pypi/own?vcs_url=git%2Bhttps:%2F%2Fexample.com%2Fown.git%23` + strings.Repeat("1", 40) + `||locked|
		. > pypi/flask@3.0.0
		. > pypi/own?vcs_url=git%2Bhttps:%2F%2Fexample.com%2Fown.git%23` + strings.Repeat("1", 40) + `
		pypi/flask@3.0.0 > pypi/click@8.1.7
		? bad-digest  pylock.dev.toml: click sha512: zz
		? malformed  pylock.dev.toml: package 4 has no name`},
	{"uv", map[string]string{"uv.lock": `version = 1
[[package]]
name = "app"
version = "0.1.0"
source = { editable = "." }
dependencies = [{ name = "idna" }]
[[package]]
name = "idna"
version = "3.6"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://files.pythonhosted.org/idna-3.6.tar.gz", hash = "sha256:` + strings.Repeat("ab", 32) + `", size = 1 }
wheels = [{ url = "https://files.pythonhosted.org/idna-3.6.whl", hash = "sha256:` + strings.Repeat("cd", 32) + `" }]
`}, `
		pypi/app@0.1.0||declared|
		pypi/idna@3.6||locked|
		. > pypi/app@0.1.0
		pypi/app@0.1.0 > pypi/idna@3.6`},
	{"pdm", map[string]string{"pdm.lock": `[[package]]
name = "a"
version = "1"
groups = ["default"]
dependencies = ["b.c<2,>=1"]
[[package]]
name = "b-c"
version = "1.5"
groups = ["default"]
`}, `
		pypi/a@1||locked|
		pypi/b-c@1.5||locked|
		. > pypi/a@1
		pypi/a@1 > pypi/b-c@1.5`},
	{"pipfile", map[string]string{"Pipfile.lock": `{"_meta":{"hash":{"sha256":"x"}},"default":{"a":{"version":"==1.0","hashes":["sha256:` + strings.Repeat("ab", 32) + `"]}},"develop":{"b":{"version":"==2.0","hashes":[]}}}`}, `
		pypi/a@1.0|required|locked|sha256
		pypi/b@2.0|excluded|locked|
		. > pypi/a@1.0
		. > pypi/b@2.0`},
	{"python-installed", map[string]string{
		"site-packages/a-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: A.x\nVersion: 1.0\nAuthor-email: Jo <jo@example.com>\nLicense-Expression: MIT\nRequires-Dist: b>=1; extra == 'z'\n\nName: not this\n",
		"site-packages/b-2.0.egg-info/PKG-INFO":  "Name: b\nVersion: 2.0\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License\n",
		"site-packages/c-3.0.dist-info/METADATA": "garbage",
	}, `
		pypi/a.x@1.0||observed|
		pypi/b@2.0||observed|
		pypi/c@3.0||observed|
		. > pypi/a.x@1.0
		. > pypi/c@3.0
		pypi/a.x@1.0 > pypi/b@2.0
		? malformed  site-packages/c-3.0.dist-info/METADATA: metadata without a name`},
	{"cargo", map[string]string{"Cargo.lock": `version = 3
[[package]]
name = "app"
version = "0.1.0"
dependencies = ["serde", "rand 0.8.5", "forked 1.0.0 (git+https://github.com/x/forked?rev=1#abc)"]
[[package]]
name = "rand"
version = "0.7.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "zz"
[[package]]
name = "rand"
version = "0.8.5"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "` + strings.Repeat("ab", 32) + `"
[[package]]
name = "serde"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
[[package]]
name = "forked"
version = "1.0.0"
source = "git+https://github.com/x/forked?rev=1#abc"
[metadata]
"checksum serde 1.0.0 (registry+https://github.com/rust-lang/crates.io-index)" = "` + strings.Repeat("cd", 32) + `"
`}, `
		cargo/app@0.1.0|required|declared|
		cargo/forked@1.0.0?vcs_url=git%2Bhttps:%2F%2Fgithub.com%2Fx%2Fforked%3Frev%3D1%23abc||locked|
		cargo/rand@0.7.0||locked|
		cargo/rand@0.8.5||locked|sha256
		cargo/serde@1.0.0||locked|sha256
		. > cargo/app@0.1.0
		cargo/app@0.1.0 > cargo/forked@1.0.0?vcs_url=git%2Bhttps:%2F%2Fgithub.com%2Fx%2Fforked%3Frev%3D1%23abc
		cargo/app@0.1.0 > cargo/rand@0.7.0
		cargo/app@0.1.0 > cargo/rand@0.8.5
		cargo/app@0.1.0 > cargo/serde@1.0.0
		? bad-digest  Cargo.lock: rand 0.7.0: zz`},
	{"go", map[string]string{
		"go.mod":                "module example.com/app\n\ngo 1.22\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.0.0 // indirect\n\texample.com/c v1.0.0\n)\n\nreplace example.com/c => ../c\nreplace example.com/b v1.0.0 => example.com/fork v1.1.0\n",
		"go.sum":                "example.com/a v1.0.0 h1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\nexample.com/a v1.0.0/go.mod h1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\nbad line\n",
		"vendor/example/go.mod": "module not.this",
		"old/go.mod":            "module example.com/old\nrequire example.com/a v0.9.0\n",
	}, `
		golang/example.com/a@v0.9.0||inferred|
		golang/example.com/a@v1.0.0||locked|dirHash
		golang/example.com/app|required|declared|
		golang/example.com/c@v1.0.0||declared|
		golang/example.com/fork@v1.1.0||declared|
		golang/example.com/old|required|declared|
		. > golang/example.com/app
		. > golang/example.com/old
		golang/example.com/app > golang/example.com/a@v1.0.0
		golang/example.com/app > golang/example.com/c@v1.0.0
		golang/example.com/app > golang/example.com/fork@v1.1.0
		golang/example.com/old > golang/example.com/a@v0.9.0
		? malformed  go.sum: a line that is not module, version and hash: bad line
		? no-exact-version  old/go.mod: go.mod of a version before 1.17 lists direct requirements only`},
	{"maven", map[string]string{"pom.xml": `<?xml version="1.0"?>
<project xmlns="http://maven.apache.org/POM/4.0.0"><parent><groupId>org.p</groupId><artifactId>p</artifactId><version>3</version></parent>
<artifactId>app</artifactId><properties><v>1.2</v><w>${v}.3</w></properties>
<dependencyManagement><dependencies><dependency><groupId>g</groupId><artifactId>m</artifactId><version>9</version></dependency></dependencies></dependencyManagement>
<dependencies>
<dependency><groupId>g</groupId><artifactId>a</artifactId><version>${w}</version></dependency>
<dependency><groupId>g</groupId><artifactId>m</artifactId><exclusions><exclusion><groupId>no</groupId><artifactId>no</artifactId></exclusion></exclusions></dependency>
<dependency><groupId>g</groupId><artifactId>r</artifactId><version>[1,2)</version></dependency>
<dependency><groupId>${project.groupId}</groupId><artifactId>t</artifactId><version>${project.version}</version><scope>test</scope></dependency>
</dependencies></project>`}, `
		maven/g/a@1.2.3|required|declared|
		maven/g/m@9|required|declared|
		maven/g/r|required|declared|
		maven/org.p/app@3|required|declared|
		maven/org.p/t@3|excluded|declared|
		. > maven/org.p/app@3
		maven/org.p/app@3 > maven/g/a@1.2.3
		maven/org.p/app@3 > maven/g/m@9
		maven/org.p/app@3 > maven/g/r
		maven/org.p/app@3 > maven/org.p/t@3
		? no-exact-version maven/g/r `},
	{"gradle", map[string]string{"gradle.lockfile": "# comment\ng:a:1.0=compileClasspath,runtimeClasspath\ng:t:2.0=testCompileClasspath\nbad\nempty=annotationProcessor\n"}, `
		maven/g/a@1.0|required|locked|
		maven/g/t@2.0|excluded|locked|
		. > maven/g/a@1.0
		. > maven/g/t@2.0
		? malformed  gradle.lockfile: line 4: want group:artifact:version`},
	{"jar", map[string]string{
		"lib/outer-1.0.jar": jarOf(map[string]string{
			"META-INF/maven/g/outer/pom.properties": "groupId=g\nartifactId=outer\nversion=1.0\n",
			"META-INF/maven/g/shade/pom.properties": "#c\nartifactId=shade\ngroupId=g\nversion=2.0\n",
			"BOOT-INF/lib/inner-3.1.jar":            jarOf(map[string]string{"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\nImplementation-Vendor-Id: org.x\r\nImplementation-Vendor: X\r\n Y\r\n"}),
		}),
		"broken-1.0.jar": "PK\x03\x04 not a zip",
	}, `
		library:broken@1.0|required|inferred|sha1,sha256
		maven/g/outer@1.0|required|observed|sha1,sha256
		maven/g/shade@2.0|required|observed|
		maven/org.x/inner@3.1|required|inferred|sha1,sha256
		. > library:broken@1.0
		. > maven/g/outer@1.0
		maven/g/outer@1.0 > maven/g/shade@2.0
		maven/g/outer@1.0 > maven/org.x/inner@3.1
		? malformed  broken-1.0.jar: zip: not a valid zip file`},
}

func TestEcosystems(t *testing.T) {
	for _, tt := range ecosystems {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for line := range strings.Lines(tt.want) {
				line = strings.TrimRight(strings.TrimLeft(line, "\t"), "\n")
				if line != "" {
					want = append(want, line)
				}
			}
			slices.Sort(want)
			dir := write(t, tt.files)
			g := scanDir(t, dir)
			if diff := cmp.Diff(want, summary(g)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			// The same tree gives the same bytes, by one worker or several.
			doc := func(o Options) []byte {
				o.Created, o.Name = created, "tree"
				g, err := Dir(context.Background(), dir, o)
				if err != nil {
					t.Fatal(err)
				}
				b, err := g.Encode(sbom.CycloneDX)
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(b, []byte("secret")) {
					t.Error("the document has a password of an address")
				}
				return b
			}
			one := doc(Options{Workers: 1})
			for range 3 {
				if !bytes.Equal(one, doc(Options{Workers: 4})) {
					t.Fatal("two scans gave two documents")
				}
			}
			if _, err := sbom.Read(one, sbom.CycloneDX); err != nil {
				t.Error(err)
			}
			if state, reasons := g.Completeness(); state == sbom.Complete || !slices.Contains(reasons, ReasonScanned) {
				t.Errorf("a scan is %v for the reasons %v", state, reasons)
			}
		})
	}
}

func TestFieldsAndEvidence(t *testing.T) {
	g := scanDir(t, write(t, ecosystems[0].files))
	c := g.Component("pkg:npm/a@1.0.1")
	if c == nil {
		t.Fatal("no component")
	}
	if got := c.Declared.Expression; got != "MIT" {
		t.Errorf("licence %q", got)
	}
	want := []sbom.Reference{{Kind: "distribution", URL: "https://registry.npmjs.org/a/-/a-1.0.1.tgz", Digests: c.Digests}}
	if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(c.References)); diff != "" {
		t.Error(diff)
	}
	if c.Dependencies != sbom.Complete {
		t.Errorf("dependencies are %v", c.Dependencies)
	}
	if d := g.Component("pkg:npm/d@3.0.0"); d.Dependencies != sbom.Incomplete {
		t.Errorf("dependencies of what lacks one are %v", d.Dependencies)
	}
	g = scanDir(t, write(t, map[string]string{"node_modules/a/package.json": ecosystems[2].files["node_modules/a/package.json"]}))
	if c := g.Component("pkg:npm/a@1.0.0"); c.Supplier != (sbom.Party{Name: "Jo", Email: "jo@example.com"}) {
		t.Errorf("supplier %+v", c.Supplier)
	}
}

func TestOptions(t *testing.T) {
	dir := write(t, map[string]string{"Cargo.lock": "[[package]]\nname=\"c\"\nversion=\"1\"\n", "skip/go.mod": "module m", "go.mod": "module n"})
	if _, err := Dir(context.Background(), dir, Options{}); err == nil {
		t.Error("no time, no error")
	}
	if _, err := Dir(context.Background(), dir, Options{Created: created, Ecosystems: []string{"cobol"}}); err == nil {
		t.Error("unknown ecosystem, no error")
	}
	var e *Error
	if _, err := Dir(context.Background(), dir+"/none", Options{Created: created}); !errors.As(err, &e) || e.Reason != ReasonUnreadable {
		t.Errorf("no directory: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dir(ctx, dir, Options{Created: created}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	seen := 0
	g, err := Dir(context.Background(), dir, Options{
		Created: created, Name: "tree", Ecosystems: []string{"golang"}, Exclude: func(p string) bool { return p == "skip" },
		Progress: func(s, _ int) { seen = s },
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{". > golang/n", "golang/n|required|declared|"}, summary(g)); diff != "" {
		t.Error(diff)
	}
	if seen != 3 {
		t.Errorf("progress ended with %d entries", seen)
	}
}

// TestFiles lists files that no analyser knows, in a directory and in an image.
func TestFiles(t *testing.T) {
	files := map[string]string{"fw/boot.bin": "boot", "tool": "#!/bin/sh\n", "go.mod": "module m", "no/x": "x", "odd\tname.bin": "odd", "lib.so": "\x7fELF not one"}
	o := Options{Created: created, Name: "tree", Files: func(p string) bool { return !strings.HasPrefix(p, "no/") }}
	dir := write(t, files)
	if err := os.Chmod(filepath.Join(dir, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "lib.so"), 0o755); err != nil {
		t.Fatal(err)
	}
	inDir, err := Dir(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for name, content := range files {
		list = append(list, name+"="+content)
	}
	inImage := scanImage(t, tarFile(t, layout(gz(tarOf(list...)))), o)
	for where, g := range map[string]*sbom.Graph{"directory": inDir, "image": inImage} {
		for name, content := range files {
			var found []*sbom.Component
			for _, c := range g.Components() {
				if c.Type == sbom.File && c.Name == strings.ReplaceAll(name, "\t", " ") {
					found = append(found, c)
				}
			}
			if name == "go.mod" || name == "no/x" {
				if len(found) > 0 {
					t.Errorf("%s: %s is listed", where, name)
				}
			} else if len(found) != 1 || len(found[0].Digests) != 1 || found[0].Digests[0].Value() != sha([]byte(content)) {
				t.Errorf("%s: %s: %+v", where, name, found)
			}
		}
		if len(g.FindPURL("pkg:golang/m")) != 1 {
			t.Errorf("%s: packages are not listed any more", where)
		}
	}
}

// A lock file has the licence of the project and its workspaces too.
func TestNPMProjectLicence(t *testing.T) {
	dir := t.TempDir()
	lock := `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0","license":"MIT"},
		"packages/w":{"name":"w","version":"0.1.0","license":{"type":"ISC","url":"https://example.com"}},"packages/x":{"name":"x","version":"0.1.0","license":["MIT"]}}}`
	if err := os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte(lock), 0o644); err != nil {
		t.Fatal(err)
	}
	g, err := Dir(t.Context(), dir, Options{Created: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for purl, want := range map[string]string{"pkg:npm/app@1.0.0": "MIT", "pkg:npm/w@0.1.0": "ISC", "pkg:npm/x@0.1.0": ""} {
		if cs := g.FindPURL(purl); len(cs) != 1 || cs[0].Declared.Expression != want {
			t.Errorf("%s: %+v, want licence %q", purl, cs, want)
		}
	}
}

// What the caller says of the thing that is scanned is in the bill, and not
// noted as unknown.
func TestCallerDeclares(t *testing.T) {
	o := Options{Created: time.Unix(1_700_000_000, 0), Name: "app", Version: "1", Licence: sbom.License{Expression: "mit or apache-2.0"}, Supplier: sbom.Party{Name: "Ann"}}
	g, err := Dir(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r := g.Root(); r.Declared.Expression != "MIT OR Apache-2.0" || r.Supplier.Name != "Ann" {
		t.Errorf("%+v", r)
	}
	for _, u := range g.Unknowns() {
		if u.Component == g.Root().ID && (u.Field == sbom.FieldDeclared || u.Field == sbom.FieldSupplier) {
			t.Errorf("noted as unknown: %+v", u)
		}
	}
	o.Licence.Expression = "no such licence"
	if _, err := Dir(t.Context(), t.TempDir(), o); err == nil {
		t.Error("an expression that is none is taken")
	}
}
