package slsa

import (
	"strings"

	"golang.org/x/mod/semver"
)

// repository brings the spellings of a repository to one, "https://host/path",
// and splits off what follows the first "@" of the path: a ref or a commit. It changes what
// tools write differently (the git+ prefix, a missing scheme, .git and a slash
// at the end) and nothing else: case counts, and so does a user name.
func repository(s string) (repo, ref string) {
	s = strings.TrimPrefix(s, "git+")
	if s == "" {
		return "", ""
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	start := strings.Index(s, "://") + len("://")
	// An "@" before the path is a user name, and part of the repository.
	if slash := strings.IndexByte(s[start:], '/'); slash >= 0 {
		if at := strings.IndexByte(s[start+slash:], '@'); at >= 0 {
			at += start + slash
			s, ref = s[:at], s[at+1:]
		}
	}
	s = strings.TrimSuffix(s, "/")
	return strings.TrimSuffix(s, ".git"), ref
}

// isCommit reports whether s is a git object id.
func isCommit(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// matchVersion compares a tag to a version of which minor and patch may be
// left out: "v1" accepts v1.2.3, "v1.2" accepts v1.2.3, "v1.2.3" accepts
// v1.2.3 only. Build metadata does not count, as in the order of
// semver.org. A version without patch accepts no pre-releases: who wants one
// has to name it.
func matchVersion(tag, want string) bool {
	if !semver.IsValid(tag) || !semver.IsValid(want) {
		return false
	}
	core, _, _ := strings.Cut(want, "+")
	core, _, _ = strings.Cut(core, "-")
	switch strings.Count(core, ".") {
	case 0:
		return semver.Prerelease(tag) == "" && semver.Major(tag) == semver.Major(want)
	case 1:
		return semver.Prerelease(tag) == "" && semver.MajorMinor(tag) == semver.MajorMinor(want)
	}
	return semver.Compare(tag, want) == 0
}

// isReleaseTag reports whether a ref is a tag "vX.Y.Z" without pre-release:
// builders that are pinned to a branch or to a floating tag are whatever they
// are today.
func isReleaseTag(ref string) bool {
	tag, ok := strings.CutPrefix(ref, "refs/tags/")
	return ok && semver.IsValid(tag) && semver.Canonical(tag) == tag && semver.Prerelease(tag) == ""
}
