package osv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/vercmp"
	"github.com/hallmark-build/hallmark/sbom"
)

// A History answers whether ancestor is commit itself or an ancestor of it in a
// repository, whose URL is as records write it, without scheme and ".git".
type History func(ctx context.Context, repo, commit, ancestor string) (bool, error)

// Options says how to match. The zero value is the strict choice.
type Options struct {
	// History, if set, is asked about ranges of commits. Without it, a commit
	// can be told to be affected only when a record names it; all else about
	// such ranges is not judged.
	History History

	// Progress, if set, is called after each component.
	Progress func(done, total int)
}

// Match looks every component of the graph up.
//
// A component is looked up by its package URL; its name alone is never enough.
// What cannot be judged is in Result.Unjudged: a component that has no package
// URL of an ecosystem that OSV has, or one that the database has no record of, a
// version that is missing or cannot be ordered, a record that cannot be read.
// Components with scope excluded, which are used and not shipped, are looked up
// too; Result says that they are.
func (db *Database) Match(ctx context.Context, g *sbom.Graph, o Options) (*Result, error) {
	if g == nil || g.Root() == nil {
		return nil, errors.New("osv: the bill has no components")
	}
	m := &matcher{ctx: ctx, db: db, o: o, records: map[int32]*record{}, res: &Result{
		Vulnerabilities: []Vulnerability{}, Unjudged: []Unjudged{}, Database: db.info, g: g,
	}}
	for _, u := range db.unreadable {
		m.res.Unjudged = append(m.res.Unjudged, Unjudged{Reason: ReasonRecord, Record: u.Name, Detail: u.Msg})
	}
	if db.more > 0 {
		m.res.Unjudged = append(m.res.Unjudged, Unjudged{Reason: ReasonRecord, Detail: fmt.Sprintf("%d more records cannot be read", db.more)})
	}
	for _, gap := range g.Unknowns() {
		switch {
		case gap.Reason == sbom.ReasonPackageURLs && gap.Field == sbom.FieldIdentity:
			m.res.Unjudged = append(m.res.Unjudged, Unjudged{Component: gap.Component, Reason: ReasonNames, Detail: fmt.Sprintf("the bill also calls it %.200s", gap.Detail)})
		case gap.Reason == sbom.ReasonNotRead && gap.Field == sbom.FieldComponents:
			m.res.Unjudged = append(m.res.Unjudged, Unjudged{Reason: ReasonNames, Detail: fmt.Sprintf("the bill has a package that is not looked up: %.200s", gap.Detail)})
		}
	}
	components := g.Components()
	for i, c := range components {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := m.component(c); err != nil {
			return nil, err
		}
		if o.Progress != nil {
			o.Progress(i+1, len(components))
		}
	}
	m.res.sort()
	return m.res, nil
}

// matcher is one match.
type matcher struct {
	ctx     context.Context
	db      *Database
	o       Options
	records map[int32]*record // read for this match
	held    int
	res     *Result
}

func (m *matcher) unjudged(c *sbom.Component, reason, recordID, detail string) {
	m.res.Unjudged = append(m.res.Unjudged, Unjudged{Component: c.ID, Reason: reason, Record: recordID, Detail: detail})
}

func (m *matcher) component(c *sbom.Component) error {
	q, ok := queryOf(c)
	if !ok {
		m.unjudged(c, ReasonNoEcosystem, "", "it has no package URL of an ecosystem that OSV has records of")
		return nil
	}
	byPackage := m.db.covers(&q)
	byCommit := q.repo != "" && q.commit != "" && m.db.covered["GIT"]
	if !byPackage && !byCommit {
		m.unjudged(c, ReasonNotCovered, "", "the database has no record of any package of "+strings.TrimSpace(cmp.Or(q.ecosystem, "a git repository")+" "+q.release))
		return nil
	}
	m.res.Judged++
	var found []int32
	for _, n := range q.names {
		found = append(found, m.db.index[packageKey(q.ecosystem, n)]...)
	}
	found = append(found, m.db.index[purlKey(q.base)]...)
	if byCommit || q.hosted {
		found = append(found, m.db.index[repoKey(q.repo)]...)
	}
	slices.Sort(found)
	var hits []hit
	for _, i := range slices.Compact(found) {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		r, err := m.load(i)
		if err != nil {
			m.unjudged(c, ReasonRecord, m.db.name(&m.db.places[i]), err.Error())
			continue
		}
		is, entries, why := m.judge(&q, r)
		// One version that is affected is enough.
		also := func(version string) bool {
			o := q
			o.version = version
			is2, entries2, why2 := m.judge(&o, r)
			is, entries, why = is || is2, append(entries, entries2...), cmp.Or(why, why2)
			return is2
		}
		for _, v := range q.alike {
			also(v)
		}
		other := q.other != "" && also(q.other) // the bill says two versions
		switch {
		case is:
			hits = append(hits, hit{r, entries, other})
		case why != nil:
			m.unjudged(c, why.reason, r.ID, why.detail)
		}
	}
	m.merge(c, &q, hits)
	return nil
}

// load reads a record, and keeps some: components of one name share records.
func (m *matcher) load(i int32) (*record, error) {
	if r := m.records[i]; r != nil {
		return r, nil
	}
	r, err := m.db.load(i)
	if err != nil {
		return nil, err
	}
	size := 1
	for j := range r.Affected {
		size += len(r.Affected[j].Versions)
		for k := range r.Affected[j].Ranges {
			size += len(r.Affected[j].Ranges[k].Events)
		}
	}
	if m.held += size; m.held > maxHeld {
		clear(m.records)
		m.held = size
	}
	m.records[i] = r
	return r, nil
}

// maxHeld is how many versions and events of records are kept at once.
const maxHeld = 1 << 20

// hit is a record that a component is affected by, and the entries of it.
type hit struct {
	r       *record
	entries []*affected
	other   bool // in the version that contradicts the package URL's
}

// doubt is why a record could not be judged.
type doubt struct{ reason, detail string }

// judge says whether a component is affected by a record. If one entry says so,
// it is; if none does and one cannot be judged, that is why.
func (m *matcher) judge(q *query, r *record) (is bool, entries []*affected, why *doubt) {
	for i := range r.Affected {
		a := &r.Affected[i]
		about := q.about(a)
		var d *doubt
		hit := false
		if about {
			hit, d = m.entry(q, a)
		} else {
			hit, d = m.commits(q, a)
		}
		if hit {
			entries = append(entries, a)
		} else if d != nil && why == nil {
			why = d
		}
	}
	if len(entries) > 0 {
		return true, entries, nil
	}
	return false, nil, why
}

// entry evaluates one entry about the package (OSV schema, "Evaluation").
func (m *matcher) entry(q *query, a *affected) (bool, *doubt) {
	if len(a.Versions) == 0 && len(a.Ranges) == 0 {
		return false, &doubt{ReasonRecord, "it lists neither versions nor ranges"}
	}
	if q.version != "" {
		for _, v := range a.Versions {
			if v == q.version || q.order != nil && same(q.order, v, q.version) {
				return true, nil
			}
		}
	}
	var why *doubt
	ordered := false
	for i := range a.Ranges {
		g := &a.Ranges[i]
		switch g.Type {
		case "SEMVER", "ECOSYSTEM":
			ordered = true
			order := q.order
			if g.Type == "SEMVER" && q.ecosystem != "Go" {
				order = vercmp.SemVer
			}
			is, d := inRange(order, g.Events, q.version)
			if is {
				return true, nil
			}
			if d != nil && why == nil {
				why = d
			}
		case "GIT":
		default:
			why = cmp.Or(why, &doubt{ReasonRecord, fmt.Sprintf("range of unknown type %.40q", g.Type)})
		}
	}
	if why == nil && len(a.Versions) > 0 {
		if q.version == "" {
			why = &doubt{ReasonNoVersion, "the component has no version"}
		} else if q.order != nil {
			// What is no version is in no list, however it is meant.
			if _, err := q.order(q.version, q.version); err != nil {
				why = &doubt{ReasonNoOrder, err.Error()}
			}
		}
	}
	if ordered || len(a.Versions) > 0 || why != nil {
		// Ranges of commits beside versions say the same once more.
		if is, _ := m.commits(q, a); is {
			return true, nil
		}
		return false, why
	}
	is, d := m.commits(q, a)
	if !is && d == nil {
		if q.commit == "" || q.repo == "" {
			d = &doubt{ReasonCommits, "it has ranges of commits only, and the component's commit is not known"}
		}
	}
	return is, d
}

func same(o vercmp.Order, a, b string) bool {
	c, err := o(a, b)
	return err == nil && c == 0
}

// inRange evaluates the events of a range. Sorted by version, the last event
// that is not after the version decides; so what counts is which comes last of
// those that begin the range, and of those that end it.
func inRange(order vercmp.Order, events []event, version string) (bool, *doubt) {
	begins, ends, limited := false, false, false
	for _, e := range events {
		switch e.Kind {
		case introduced:
			begins = true
		case limit:
			ends = ends || e.Version != "*"
		default:
			ends = true
		}
	}
	if !begins {
		return false, &doubt{ReasonRecord, "a range without an event that introduces the vulnerability"}
	}
	if !ends && slices.Contains(events, event{introduced, "0"}) {
		return true, nil // all versions, whatever they are
	}
	if version == "" {
		return false, &doubt{ReasonNoVersion, "the component has no version"}
	}
	if order == nil {
		return false, &doubt{ReasonNoOrder, "the order of this ecosystem's versions is not known"}
	}
	var start, end string // the last of each kind that is not after the version
	started, ended := false, false
	withinLimit := false
	last := func(have bool, old, v string) (string, error) {
		if !have || old == "0" {
			return v, nil
		}
		if v == "0" {
			return old, nil
		}
		c, err := order(v, old)
		if c > 0 {
			return v, err
		}
		return old, err
	}
	for _, e := range events {
		c := 1 // the version against the event's
		var err error
		switch {
		case e.Kind == introduced && e.Version == "0":
		case e.Kind == limit && e.Version == "*":
			c = -1
		default:
			c, err = order(version, e.Version)
		}
		switch {
		case err != nil:
		case e.Kind == limit:
			limited = true
			withinLimit = withinLimit || c < 0
		case e.Kind == introduced && c >= 0:
			start, err = last(started, start, e.Version)
			started = true
		case e.Kind == fixed && c >= 0, e.Kind == lastAffected && c > 0:
			end, err = last(ended, end, e.Version)
			ended = true
		}
		if err != nil {
			return false, &doubt{ReasonNoOrder, err.Error()}
		}
	}
	if !started || limited && !withinLimit {
		return false, nil
	}
	if !ended {
		return true, nil
	}
	if start == "0" {
		return false, nil
	}
	c, err := order(start, end)
	if err != nil {
		return false, &doubt{ReasonNoOrder, err.Error()}
	}
	return c > 0, nil
}

// commits evaluates the ranges of commits of an entry.
func (m *matcher) commits(q *query, a *affected) (bool, *doubt) {
	if q.repo == "" || q.commit == "" && !q.hosted {
		return false, nil
	}
	var why *doubt
	for i := range a.Ranges {
		g := &a.Ranges[i]
		if g.Type != "GIT" || normalRepo(g.Repo) != q.repo {
			continue
		}
		if q.commit == "" { // known by a tag, if at all
			if slices.Contains(a.Versions, q.version) {
				return true, nil
			}
			why = &doubt{ReasonCommits, "it has a range of commits, and the component's commit is not known"}
			continue
		}
		is, d := m.commitRange(q, g)
		if is {
			return true, nil
		}
		if d != nil {
			why = d
		}
	}
	return false, why
}

func (m *matcher) commitRange(q *query, g *eventRange) (bool, *doubt) {
	begins, ended, limited, within, plain := false, false, false, false, false
	for _, e := range g.Events {
		begins = begins || e.Kind == introduced
		if e.Version == q.commit {
			switch e.Kind {
			case introduced, lastAffected:
				plain = true
			case fixed:
				ended = true
			}
		}
	}
	switch {
	case !begins:
		return false, &doubt{ReasonRecord, "a range without an event that introduces the vulnerability"}
	case ended:
		return false, nil
	case plain:
		return true, nil
	case m.o.History == nil:
		return false, &doubt{ReasonCommits, "whether commit " + q.commit + " is in the range is for the repository's history to say"}
	case len(g.Events) > maxCommits:
		return false, &doubt{ReasonLimit, fmt.Sprintf("a range of %d commits; at most %d are asked about", len(g.Events), maxCommits)}
	}
	started := false
	for _, e := range g.Events {
		has := e.Kind == introduced && e.Version == "0" || e.Kind == limit && e.Version == "*"
		if !has {
			a, b := q.commit, e.Version
			if e.Kind == limit {
				a, b = b, a // what is before the limit is an ancestor of it
			}
			var err error
			if has, err = m.o.History(m.ctx, q.repo, a, b); err != nil {
				return false, &doubt{ReasonCommits, err.Error()}
			}
		}
		switch e.Kind {
		case introduced:
			started = started || has
		case fixed, lastAffected: // the commit itself was dealt with
			ended = ended || has
		case limit:
			limited = true
			within = within || has && e.Version != q.commit
		}
	}
	return started && !ended && (!limited || within), nil
}

// maxCommits is how many commits of one range a History is asked about.
const maxCommits = 1000

// merge makes one vulnerability of the records that are aliases of each other.
func (m *matcher) merge(c *sbom.Component, q *query, hits []hit) {
	group := make([]int, len(hits)) // a forest: where each one's group is
	find := func(i int) int {
		for group[i] != i {
			group[i] = group[group[i]]
			i = group[i]
		}
		return i
	}
	owner := map[string]int{}
	for i, h := range hits {
		group[i] = i
		for _, id := range append([]string{h.r.ID}, h.r.Aliases...) {
			if j, ok := owner[id]; ok {
				group[find(i)] = find(j)
			} else {
				owner[id] = i
			}
		}
	}
	members := map[int][]hit{}
	var order []int
	for i, h := range hits {
		root := find(i)
		if members[root] == nil {
			order = append(order, root)
		}
		members[root] = append(members[root], h)
	}
	for _, root := range order {
		m.res.Vulnerabilities = append(m.res.Vulnerabilities, newVulnerability(c, q, members[root]))
	}
}

func newVulnerability(c *sbom.Component, q *query, hits []hit) Vulnerability {
	slices.SortFunc(hits, func(a, b hit) int { return compareIDs(a.r.ID, b.r.ID) })
	v := Vulnerability{Component: c.ID, ID: hits[0].r.ID, Severity: []Severity{}, Status: Affected}
	for _, h := range hits {
		r := h.r
		v.Records = append(v.Records, r.ID)
		if h.other {
			v.OtherVersion = q.other
		}
		if len(v.Aliases) < maxAliases {
			v.Aliases = append(append(v.Aliases, r.ID), r.Aliases...)
		}
		if v.Summary == "" {
			v.Summary = r.Summary
		}
		if r.Modified.After(v.Modified) {
			v.Modified = r.Modified.UTC()
		}
		v.Severity = append(v.Severity, r.Severity...)
		if r.Rating != "" {
			v.Severity = append(v.Severity, Severity{"rating", r.Rating})
		}
		for _, a := range h.entries {
			v.Severity = append(v.Severity, a.Severity...)
			for i := range a.Ranges {
				if a.Ranges[i].Type == "GIT" {
					continue
				}
				for _, e := range a.Ranges[i].Events {
					// Only what is after the version mends it.
					if e.Kind == fixed && len(v.Fixed) < maxAliases && !slices.Contains(v.Fixed, e.Version) {
						if q.order != nil && q.version != "" {
							if c, err := q.order(e.Version, q.version); err == nil && c <= 0 {
								continue
							}
						}
						v.Fixed = append(v.Fixed, e.Version)
					}
				}
			}
		}
	}
	slices.SortFunc(v.Aliases, compareIDs)
	v.Aliases = slices.Compact(v.Aliases)
	// A CVE is what most people know it by.
	if len(v.Aliases) > 0 && len(v.Aliases[0]) <= maxID {
		v.ID = v.Aliases[0]
	}
	v.Aliases = slices.DeleteFunc(v.Aliases, func(s string) bool { return s == v.ID })
	slices.SortFunc(v.Severity, func(a, b Severity) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Score, b.Score)) })
	v.Severity = slices.Compact(v.Severity)
	if len(v.Severity) > maxAliases {
		v.Severity = v.Severity[:maxAliases]
	}
	return v
}

// maxAliases is how many aliases, fixed versions and severities of one
// vulnerability are taken over.
const maxAliases = 1000
