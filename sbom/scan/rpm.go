package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// rpmDatabase reads the database of installed packages of rpm, in each of the
// three formats that it has had: SQLite (rpmdb.sqlite), its own (Packages.db)
// and Berkeley DB (Packages). See rpmdb.go.
var rpmDatabase = analyser{
	name: "rpm", version: 2, ecosystem: "rpm", limit: limits.ScanRPM, random: true,
	wants: func(p, base string) bool {
		switch base {
		case "rpmdb.sqlite", "Packages", "Packages.db":
			return isRPMDir(path.Dir(p))
		}
		return false
	},
	read: readRPM,
}

// rpmLog notes a write-ahead log: what is in it is not in the database yet.
// rpm leaves none when it ends as it should.
var rpmLog = analyser{
	name: "rpm-log", version: 1, ecosystem: "rpm", limit: 1 << 62,
	wants: func(p, base string) bool { return base == "rpmdb.sqlite-wal" && isRPMDir(path.Dir(p)) },
	read: func(_ context.Context, f *file, r *report) error {
		if f.size > 0 {
			r.gap(sbom.FieldComponents, ReasonUnreadable, "changes of the RPM database that were not carried over into it are not read")
		}
		return nil
	},
}

func isRPMDir(d string) bool {
	return under(d, "var/lib/rpm") || under(d, "usr/lib/sysimage/rpm") || under(d, "usr/share/rpm")
}

// Tags of an RPM header (rpm's include/rpm/rpmtag.h).
const (
	rpmHeaderSHA256 = 273
	rpmName         = 1000
	rpmVersion      = 1001
	rpmRelease      = 1002
	rpmEpoch        = 1003
	rpmVendor       = 1011
	rpmLicense      = 1014
	rpmPackager     = 1015
	rpmURL          = 1020
	rpmArch         = 1022
	rpmSource       = 1044
	rpmProvide      = 1047
	rpmRequireFlags = 1048
	rpmRequire      = 1049
	rpmDirIndexes   = 1116
	rpmBaseNames    = 1117
	rpmDirNames     = 1118
	rpmModularity   = 5096
)

// The flags of a requirement that says what rpm itself must be able to do, and
// of one that need not be met.
const (
	rpmSenseLib       = 1 << 24
	rpmSenseMissingOK = 1 << 19
)

func readRPM(ctx context.Context, f *file, r *report) error {
	headers := rpmSQLite
	switch path.Base(f.path) {
	case "Packages.db":
		headers = rpmNDB
	case "Packages":
		headers = rpmBDB
	}
	group := "rpm:" + path.Dir(f.path)
	findings := []int{}         // of each header, by its number; -1 without one
	wanted := map[string]bool{} // files that packages require
	err := headers(f.at, f.size, func(blob []byte) error {
		if err := ctx.Err(); err != nil {
			return &readError{err}
		}
		findings = append(findings, -1)
		h, err := parseRPMHeader(blob)
		if err == nil {
			err = h.add(group, r, wanted)
		}
		var le *limitError
		switch {
		case errors.As(err, &le):
			return err
		case err != nil:
			r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("package %d: %s", len(findings), clip(err.Error())))
		default:
			findings[len(findings)-1] = len(r.Findings) - 1
		}
		return nil
	})
	if err == nil && len(findings) == 0 {
		err = errors.New("no packages in it")
	}
	if err != nil || len(wanted) == 0 {
		return err
	}
	// A required file is provided by whoever has it. There are many files, of
	// which few are wanted, so this is a second pass.
	n := -1
	return headers(f.at, f.size, func(blob []byte) error {
		if err := ctx.Err(); err != nil {
			return &readError{err}
		}
		if n++; n >= len(findings) || findings[n] < 0 {
			return nil
		}
		h, err := parseRPMHeader(blob)
		if err != nil {
			return nil // it was read before; the file is changing
		}
		g := &r.Findings[findings[n]]
		if err := h.files(wanted, func(p string) { g.Also = append(g.Also, p) }); err != nil {
			r.gap(sbom.FieldDependencies, ReasonMalformed, fmt.Sprintf("package %s: %s", clip(g.Name), clip(err.Error())))
		}
		return nil
	})
}

// add adds the package of a header.
func (h *rpmHeader) add(group string, r *report, wanted map[string]bool) error {
	g := finding{
		Group: group, Source: sbom.Observed, Method: "RPM database", Scope: sbom.Required, AllDeps: true, PURL: purl.PURL{Type: "rpm"},
	}
	var release, arch, source, lic, vendor, packager, site, sum, module string
	for _, field := range []struct {
		tag uint32
		to  *string
	}{
		{rpmName, &g.Name}, {rpmVersion, &g.Version}, {rpmRelease, &release}, {rpmArch, &arch}, {rpmSource, &source}, {rpmLicense, &lic},
		{rpmVendor, &vendor}, {rpmPackager, &packager}, {rpmURL, &site}, {rpmHeaderSHA256, &sum}, {rpmModularity, &module},
	} {
		s, err := h.str(field.tag)
		if err != nil {
			return err
		}
		*field.to = s
	}
	if g.Name == "" {
		return errors.New("no name")
	}
	if release != "" {
		g.Version += "-" + release
	}
	g.PURL.Name, g.PURL.Version = g.Name, g.Version
	q := func(key, value string) {
		if value != "" && value != "(none)" && len(value) <= limits.ScanName {
			g.PURL.Qualifiers = append(g.PURL.Qualifiers, purl.Qualifier{Key: key, Value: text(value)})
		}
	}
	property := func(name, value string) {
		if value != "" && value != "(none)" && len(value) <= limits.ScanName {
			g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:" + name, Value: text(value)})
		}
	}
	q("arch", arch)
	epochs, err := h.ints(rpmEpoch)
	if err != nil {
		return err
	}
	if len(epochs) > 0 {
		e := strconv.FormatUint(uint64(epochs[0]), 10)
		q("epoch", e)
		g.Version = e + ":" + g.Version
	}
	q("upstream", source)
	property("source", source)
	property("rpm-module", module)
	// Of the header, not of the package file.
	property("rpm-header-sha256", sum)
	g.Key = g.Name + "-" + g.Version + "." + arch
	g.Also = append(g.Also, g.Name)
	g.Licence = licence(lic)
	if g.Supplier = party(vendor); vendor == "" || vendor == "(none)" {
		g.Supplier = sbom.Party{}
		if packager != "" && packager != "(none)" {
			g.Supplier = party(packager)
		}
	}
	if strings.HasPrefix(site, "https://") || strings.HasPrefix(site, "http://") {
		if len(site) <= limits.ScanName {
			g.Reference = append(g.Reference, sbom.Reference{Kind: "website", URL: text(site)})
		}
	}
	if err := h.strings(rpmProvide, func(_ int, s string) { g.Also = append(g.Also, s) }); err != nil {
		return err
	}
	flags, err := h.ints(rpmRequireFlags)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	err = h.strings(rpmRequire, func(i int, s string) {
		var flag uint32
		if i < len(flags) {
			flag = flags[i]
		}
		switch {
		case s == "", seen[s], flag&rpmSenseLib != 0, strings.HasPrefix(s, "rpmlib("):
			return
		case s[0] == '(':
			// A boolean dependency, "(a or b)", "(a if b)": which of them is
			// needed depends on what is installed.
			seen[s] = true
			for w := range strings.FieldsFuncSeq(s, func(c rune) bool { return c == ' ' || c == '(' || c == ')' }) {
				if !rpmWords[w] && len(w) > 1 && (w[0] < '0' || w[0] > '9') && !seen[w] {
					seen[w] = true
					g.May = append(g.May, w)
				}
			}
			return
		}
		seen[s] = true
		if flag&rpmSenseMissingOK != 0 {
			g.May = append(g.May, s)
		} else {
			g.Wants = append(g.Wants, s)
		}
		if s[0] == '/' && len(wanted) < limits.SBOMRelationships {
			wanted[s] = true
		}
	})
	if err != nil {
		return err
	}
	before := len(r.Findings)
	if err := r.add(g); err != nil {
		return err
	}
	if len(r.Findings) == before {
		return errors.New("not listed; see the other unknown")
	}
	return nil
}

var rpmWords = set("and or if else with without unless < <= = >= >")

// An rpmHeader is the description of one package: an index of tags, and the
// store of their values (rpm's docs/manual/format_header.md). It keeps the
// bytes that it was made from.
type rpmHeader struct {
	index, store []byte
}

// The types of values.
const (
	rpmInt32       = 4
	rpmString      = 6
	rpmStringArray = 8
	rpmI18nString  = 9
)

const rpmEntry = 16 // tag, type, offset, count

func parseRPMHeader(b []byte) (*rpmHeader, error) {
	if len(b) < 8 {
		return nil, errors.New("a header shorter than 8 bytes")
	}
	entries, size := uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	if entries > 0xffff { // HEADER_TAGS_MAX
		return nil, fmt.Errorf("a header with %d tags", entries)
	}
	if 8+entries*rpmEntry+size > uint64(len(b)) {
		return nil, fmt.Errorf("a header of %d tags and %d bytes in %d bytes", entries, size, len(b))
	}
	return &rpmHeader{b[8 : 8+entries*rpmEntry], b[8+entries*rpmEntry:][:size]}, nil
}

// value returns what a tag has, to the end of the store; nil without the tag.
func (h *rpmHeader) value(tag uint32, types ...uint32) (data []byte, count int, err error) {
	for e := h.index; len(e) >= rpmEntry; e = e[rpmEntry:] {
		if binary.BigEndian.Uint32(e) != tag {
			continue
		}
		typ, off, n := binary.BigEndian.Uint32(e[4:]), binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		if !slices.Contains(types, typ) {
			return nil, 0, fmt.Errorf("tag %d has type %d, want %d", tag, typ, types)
		}
		// Each value takes a byte at least.
		if uint64(off)+uint64(n) > uint64(len(h.store)) {
			return nil, 0, fmt.Errorf("tag %d lies outside of the header", tag)
		}
		return h.store[off:], int(n), nil
	}
	return nil, 0, nil
}

// str returns a string; of several translations the first.
func (h *rpmHeader) str(tag uint32) (string, error) {
	data, n, err := h.value(tag, rpmString, rpmI18nString, rpmStringArray)
	if err != nil || n == 0 {
		return "", err
	}
	end := bytes.IndexByte(data, 0)
	if end < 0 {
		return "", fmt.Errorf("tag %d is a string without an end", tag)
	}
	return string(data[:end]), nil
}

func (h *rpmHeader) strings(tag uint32, f func(i int, s string)) error {
	return h.bytes(tag, func(i int, s []byte) { f(i, string(s)) })
}

func (h *rpmHeader) ints(tag uint32) ([]uint32, error) {
	data, n, err := h.value(tag, rpmInt32)
	if err != nil {
		return nil, err
	}
	if n > len(data)/4 {
		return nil, fmt.Errorf("tag %d lies outside of the header", tag)
	}
	list := make([]uint32, n)
	for i := range list {
		list[i] = binary.BigEndian.Uint32(data[4*i:])
	}
	return list, nil
}

// files calls f for the files of the package that are wanted. Names are kept as
// directories and base names.
func (h *rpmHeader) files(wanted map[string]bool, f func(path string)) error {
	var names [][]byte
	if err := h.bytes(rpmDirNames, func(_ int, s []byte) { names = append(names, s) }); err != nil {
		return err
	}
	of, err := h.ints(rpmDirIndexes)
	if err != nil {
		return err
	}
	var p []byte
	return h.bytes(rpmBaseNames, func(i int, base []byte) {
		if i < len(of) && uint64(of[i]) < uint64(len(names)) && len(names[of[i]])+len(base) <= limits.TreePath {
			p = append(append(p[:0], names[of[i]]...), base...)
			if wanted[string(p)] {
				f(string(p))
			}
		}
	})
}

// bytes is strings without copies.
func (h *rpmHeader) bytes(tag uint32, f func(i int, s []byte)) error {
	data, n, err := h.value(tag, rpmStringArray)
	for i := 0; i < n && err == nil; i++ {
		end := bytes.IndexByte(data, 0)
		if end < 0 {
			return fmt.Errorf("tag %d has a string without an end", tag)
		}
		f(i, data[:end])
		data = data[end+1:]
	}
	return err
}
