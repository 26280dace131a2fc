package scan

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/sbom"
)

// yarnLock reads yarn.lock, of version 1 and of the later ones, which is YAML;
// both are written by machine with two blanks for each level.
var yarnLock = analyser{
	name: "yarn-lock", version: 1, ecosystem: "npm", limit: limits.ScanFile,
	wants: func(p, base string) bool { return base == "yarn.lock" && !inModules(p) },
	read:  readYarnLock,
}

type yarnEntry struct {
	patterns                                           []string
	version, resolved, integrity, resolution, checksum string
	soft                                               bool
	wants, may                                         []string
	optional                                           map[string]bool
	line                                               int
}

func readYarnLock(_ context.Context, f *file, r *report) error {
	var (
		e       *yarnEntry
		section string
		seen    bool
		group   = "yarn:" + f.path
	)
	flush := func() error {
		if e == nil || len(e.patterns) == 0 || e.patterns[0] == "__metadata" {
			e = nil
			return nil
		}
		seen = true
		err := e.add(f, r, group)
		e = nil
		return err
	}
	err := lines(f.r, func(n int, line string) error {
		trimmed := strings.TrimLeft(line, " ")
		indent := len(line) - len(trimmed)
		if trimmed == "" || trimmed[0] == '#' {
			return nil
		}
		switch {
		case indent == 0:
			if err := flush(); err != nil {
				return err
			}
			key, ok := strings.CutSuffix(trimmed, ":")
			if !ok {
				return fmt.Errorf("line %d: want the name of a package and a colon", n)
			}
			e = &yarnEntry{patterns: yarnPatterns(key), line: n}
			section = ""
		case e == nil:
			return fmt.Errorf("line %d: indented, and belongs to no package", n)
		case indent == 2:
			key, value := yarnPair(trimmed)
			section = ""
			switch key {
			case "version":
				e.version = value
			case "resolved":
				e.resolved = value
			case "integrity":
				e.integrity = value
			case "resolution":
				e.resolution = value
			case "checksum":
				e.checksum = value
			case "linkType":
				e.soft = value == "soft"
			default:
				section = key
			}
		case indent == 4:
			key, value := yarnPair(trimmed)
			want := key + "@" + value + "|" + key + "@npm:" + value
			switch section {
			case "dependencies":
				e.wants = append(e.wants, want)
			case "optionalDependencies":
				e.may = append(e.may, want)
			case "dependenciesMeta":
				if e.optional == nil {
					e.optional = map[string]bool{}
				}
				e.optional[key] = true
			}
		}
		return nil
	})
	if err2 := flush(); err == nil {
		err = err2
	}
	if err == nil && !seen && f.size > 1024 {
		err = errors.New("no packages in it")
	}
	return err
}

func (e *yarnEntry) add(f *file, r *report, group string) error {
	first := e.patterns[0]
	if e.resolution != "" {
		first = e.resolution
	}
	name, rng := pnpmSplit(first)
	// An alias: the pattern has another name than the package.
	if rest, ok := strings.CutPrefix(rng, "npm:"); ok {
		if i := strings.LastIndexByte(rest, '@'); i > 0 {
			name = rest[:i]
		}
	}
	g := finding{
		Group: group, Key: first, Also: e.patterns, Name: name, Version: e.version, Source: sbom.Locked,
		Method: "yarn.lock", Within: path.Join(".", f.dir()), AllDeps: true,
	}
	if e.soft || strings.Contains(e.resolution, "@workspace:") {
		g.Project, g.Within, g.Type, g.Source = true, "", sbom.Application, sbom.Declared
		if g.Version == "0.0.0-use.local" {
			g.Version = ""
		}
	}
	if g.Version == "" && !g.Project {
		r.gap(sbom.FieldVersion, ReasonMalformed, fmt.Sprintf("line %d: %s has no version", e.line, clip(name)))
	}
	g.PURL = npmPURL(g.Name, g.Version)
	g.integrity(r, e.integrity)
	g.resolved(e.resolved)
	if e.checksum != "" {
		// Of the zip that yarn makes, not of anything that is published.
		g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:yarn-checksum", Value: text(e.checksum)})
	}
	for _, w := range e.wants {
		if key, _ := pnpmSplit(w); e.optional[key] {
			g.May = append(g.May, w)
		} else {
			g.Wants = append(g.Wants, w)
		}
	}
	g.May = append(g.May, e.may...)
	return r.add(g)
}

// yarnPatterns splits the list of patterns that an entry stands for.
func yarnPatterns(s string) []string {
	var list []string
	for s != "" {
		var one string
		if s[0] == '"' {
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return append(list, s)
			}
			one, s = s[1:1+end], s[end+2:]
			s = strings.TrimPrefix(s, ",")
		} else {
			one, s, _ = strings.Cut(s, ",")
		}
		s = strings.TrimLeft(s, " ")
		// Later versions have the whole list in one pair of quotes.
		for p := range strings.SplitSeq(one, ", ") {
			if p = strings.TrimSpace(p); p != "" {
				list = append(list, p)
			}
		}
	}
	return list
}

// yarnPair splits "key value" (version 1) or "key: value", either in quotes or not.
func yarnPair(s string) (key, value string) {
	if strings.HasPrefix(s, `"`) {
		if end := strings.IndexByte(s[1:], '"'); end >= 0 {
			key, s = s[1:1+end], s[end+2:]
		}
	} else {
		i := strings.IndexAny(s, " :")
		if i < 0 {
			return s, ""
		}
		key, s = s[:i], s[i:]
	}
	value = strings.TrimSpace(strings.TrimPrefix(s, ":"))
	if len(value) > 1 && value[0] == '"' {
		if v, err := strconv.Unquote(value); err == nil {
			value = v
		}
	}
	return key, value
}

// lines calls f for each line, without its end.
func lines(r io.Reader, f func(n int, line string) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), limits.ScanLine)
	n := 0
	for s.Scan() {
		n++
		if err := f(n, s.Text()); err != nil {
			return err
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return limitf("line %d is longer than %d bytes", n+1, limits.ScanLine)
	}
	return s.Err()
}
