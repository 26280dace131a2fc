// Package licensetext finds out under which licences a text puts its readers,
// and who says to hold the copyright. It is apart from package spdxlicense
// because the patterns of all licences weigh megabytes.
package licensetext

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/google/licensecheck"

	"github.com/hallmark-build/hallmark/internal/spdxlicense"
)

// A Match is what a text was recognised as.
type Match struct {
	IDs     []string // SPDX identifiers of the licences in the text, sorted
	Other   []string // conditions found in the text that the SPDX list has no identifier for, sorted
	Percent int      // how much of the text all of them account for, 0 to 100
	Rest    int      // words in the longest stretch that they do not account for
}

// Settled reports whether the licences found are all that the text says: what
// is left over is too short to be another condition.
func (m Match) Settled() bool { return len(m.IDs) > 0 && len(m.Other) == 0 && m.Rest <= maxRest }

// maxRest leaves room for a title and for names. The shortest conditions that
// people add to licences have some 60 words.
const maxRest = 45

// MaxText is the longest text, in bytes, that Detect looks at.
const MaxText = 1 << 20

// Building the automaton for all licences that licensecheck knows costs more
// than a second and 300 MB. So there are three, each built when it is first
// needed: short permissive licences, which most texts are; those and the long
// common ones; all. A text that one automaton does not account for almost
// entirely goes to the next.
var scanners = [3]func() *licensecheck.Scanner{
	sync.OnceValue(func() *licensecheck.Scanner { return newScanner(shortIDs) }),
	sync.OnceValue(func() *licensecheck.Scanner { return newScanner(shortIDs + longIDs) }),
	sync.OnceValue(func() *licensecheck.Scanner { return newScanner("") }),
}

const shortIDs = " 0BSD Apache-2.0 Apache-2.0-User BSD-1-Clause BSD-2-Clause BSD-2-Clause-FreeBSD BSD-2-Clause-NetBSD" +
	" BSD-2-Clause-Patent BSD-2-Clause-Views BSD-3-Clause BSD-3-Clause-Attribution BSD-3-Clause-Clear" +
	" BSD-3-Clause-LBNL BSD-3-Clause-NoTrademark BSD-4-Clause BSD-4-Clause-UC BSL-1.0" +
	" GooglePatentClause GooglePatentsFile ISC MIT MIT-0 MIT-NoAd MIT-advertising NCSA Unlicense X11 Zlib" +
	" CommonsClause Anti996 "

const longIDs = " AGPL-3.0 AGPL-3.0-only AGPL-3.0-or-later CC-BY-4.0 CC-BY-SA-4.0 CC0-1.0 EPL-1.0 EPL-2.0" +
	" GPL-2.0 GPL-2.0-only GPL-2.0-or-later GPL-3.0 GPL-3.0-only GPL-3.0-or-later LGPL-2.1 LGPL-2.1-only" +
	" LGPL-2.1-or-later LGPL-3.0 LGPL-3.0-only LGPL-3.0-or-later MPL-1.1 MPL-2.0 MPL-2.0-no-copyleft-exception "

// newScanner returns a scanner for the given licences, separated by spaces, or
// for all.
func newScanner(ids string) *licensecheck.Scanner {
	var set []licensecheck.License
	for _, l := range licensecheck.BuiltinLicenses() {
		if ids == "" || l.LRE != "" && strings.Contains(ids, " "+l.ID+" ") {
			set = append(set, l)
		}
	}
	s, err := licensecheck.NewScanner(set)
	if err != nil {
		panic("licensecheck: its own licences do not compile: " + err.Error())
	}
	return s
}

// Detect finds the licences of a licence file. It is safe for concurrent use.
func Detect(text []byte) Match {
	text = text[:min(len(text), MaxText)]
	var m Match
	for _, s := range scanners {
		if m = detect(s(), text); len(m.IDs) > 0 && m.Rest <= maxRest {
			break
		}
	}
	return m
}

func detect(s *licensecheck.Scanner, text []byte) Match {
	cov := s.Scan(text)
	m := Match{Percent: int(cov.Percent)}
	end := 0
	for _, c := range cov.Match {
		if c.IsURL {
			continue // a mention, not a text
		}
		m.Rest = max(m.Rest, words(text[end:max(end, c.Start)]))
		end = c.End
		id := strings.TrimSuffix(c.ID, "-User") // the notice, not the licence
		switch {
		case id == "GooglePatentClause" || id == "GooglePatentsFile":
			// A grant beside the licence; it takes nothing away.
		case spdxlicense.ID(id) == "":
			m.Other = append(m.Other, id)
		default:
			m.IDs = append(m.IDs, spdxlicense.ID(id))
		}
	}
	m.Rest = max(m.Rest, words(text[end:]))
	slices.Sort(m.IDs)
	slices.Sort(m.Other)
	m.IDs, m.Other = slices.Compact(m.IDs), slices.Compact(m.Other)
	return m
}

// words counts the words of a text, less its copyright lines.
func words(text []byte) int {
	n := 0
	for line := range bytes.Lines(text) {
		if !copyrightLine.Match(bytes.TrimRight(line, "\r\n \t")) {
			n += len(bytes.FieldsFunc(line, func(r rune) bool { return !unicode.IsLetter(r) }))
		}
	}
	return n
}

var (
	copyrightLine = regexp.MustCompile(`(?i)^[\s/*#;.\-]*((?:copyright|©|\(c\))[\s:].*)$`)
	placeholder   = regexp.MustCompile(`(?i)[\[<{](yyyy|year|name)|copyright (notice|holder|owner|statement|and|law|license|interest|in |or|the |to )|copyright\s*[.;,]`)
	hasYearOrMark = regexp.MustCompile(`(?i)[0-9]{4}|©|\(c\)|copyright (by )?[A-Z]`)
	// What begins with "(c)" alone is more often the third item of a list:
	// "(c) You must retain" (Apache-2.0, 4).
	item = regexp.MustCompile(`(?i)^\(c\)`)
	year = regexp.MustCompile(`(?i)[0-9]{4}|copyright|©`)
)

// Copyright returns the copyright lines of a licence file, in order and without
// repetition, at most 20 of them, each at most 200 characters.
func Copyright(text []byte) []string {
	if len(text) > MaxText {
		text = text[:MaxText]
	}
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(string(text), "\uFFFD")) {
		if len(line) > 400 {
			continue
		}
		m := copyrightLine.FindStringSubmatch(strings.TrimRight(line, "\r\n \t"))
		if m == nil || placeholder.MatchString(m[1]) || !hasYearOrMark.MatchString(m[1]) || item.MatchString(m[1]) && !year.MatchString(m[1]) {
			continue
		}
		s := strings.Join(strings.Fields(m[1]), " ")
		if r := []rune(s); len(r) > 200 {
			s = string(r[:200])
		}
		if !slices.Contains(lines, s) {
			lines = append(lines, s)
		}
		if len(lines) == 20 {
			break
		}
	}
	return lines
}
