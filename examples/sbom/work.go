package main

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/account"
	"github.com/hallmark-build/hallmark/sbom/assembly"
	"github.com/hallmark-build/hallmark/sbom/diff"
	"github.com/hallmark-build/hallmark/sbom/jsf"
	"github.com/hallmark-build/hallmark/sbom/quality"
	"github.com/hallmark-build/hallmark/sign"
)

// table prints rows in columns, and paints the first cell of each by its text.
func (p *program) table(rows [][]string, paint func(first string) func(string) string) {
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			padded := cell
			if i < len(r)-1 {
				padded += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			}
			if i == 0 && paint != nil {
				padded = paint(cell)(padded)
			}
			line.WriteString(padded)
		}
		fmt.Fprintln(p.out, strings.TrimRight(line.String(), " "))
	}
}

// clean makes text of a document fit for a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || 0x80 <= r && r < 0xa0 || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			return utf8.RuneError
		}
		return r
	}, s)
}

// short shortens digests for people.
func short(s string) string {
	words := strings.Fields(clean(s))
	for i, w := range words {
		if d, err := provenance.ParseDigest(w); err == nil {
			words[i] = d.Short()
		}
	}
	return strings.Join(words, " ")
}

func plain(s string) string { return s }

func (p *program) convert(file string) error {
	g, _, err := read(file)
	if err != nil {
		return err
	}
	f, err := p.chosen("")
	if err != nil {
		return err
	}
	p.allLosses = true
	return p.write(g, f)
}

func (p *program) merge(files []string) error {
	g, f, err := read(files[0])
	if err != nil {
		return err
	}
	if f, err = p.chosen(f); err != nil {
		return err
	}
	for _, file := range files[1:] {
		other, _, err := read(file)
		if err != nil {
			return err
		}
		g.Merge(other)
	}
	return p.write(g, f)
}

func (p *program) assemble(files []string) error {
	f, err := p.chosen(sbom.CycloneDX)
	if err != nil {
		return err
	}
	if p.name == "" {
		return errors.New("want -name, the name of the product")
	}
	created, err := p.created()
	if err != nil {
		return err
	}
	var parts []*assembly.Part
	for _, file := range files {
		doc, err := readFile(file)
		if err != nil {
			return err
		}
		part, err := assembly.Open(doc)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		parts = append(parts, part)
	}
	g, err := assembly.Assemble(sbom.Creation{Created: created, Tool: tool, Authors: p.authors()},
		sbom.Component{Type: sbom.Application, Name: p.name, Version: p.version, Dependencies: sbom.Complete}, parts...)
	if err != nil {
		return err
	}
	return p.write(g, f)
}

func (p *program) query(file, pattern string) error {
	g, _, err := read(file)
	if err != nil {
		return err
	}
	found, err := g.Query(pattern)
	if err != nil {
		return err
	}
	type row struct {
		PURL    string               `json:"purl"`
		Digests provenance.DigestSet `json:"digest,omitempty"`
		Licence string               `json:"licence,omitempty"`
	}
	rows, cells := []row{}, [][]string{}
	for _, c := range found {
		licence := c.Declared.Expression + c.Declared.Name
		rows = append(rows, row{c.PURL, c.Digests, licence})
		short := ""
		if len(c.Digests) > 0 {
			short = c.Digests[0].Short()
		}
		cells = append(cells, []string{clean(c.PURL), clean(licence), short})
	}
	if p.json {
		err = p.printJSON(rows)
	} else {
		p.table(cells, nil)
	}
	if err == nil && len(found) == 0 {
		return errFound
	}
	return err
}

func (p *program) diff(oldFile, newFile string) error {
	older, _, err := read(oldFile)
	if err != nil {
		return err
	}
	newer, _, err := read(newFile)
	if err != nil {
		return err
	}
	var kinds []diff.Kind
	for k := range strings.SplitSeq(p.fail, ",") {
		if k != "" {
			kinds = append(kinds, diff.Kind(k))
		}
	}
	d := diff.Compare(older, newer)
	if p.json {
		err = p.printJSON(d)
	} else {
		var rows [][]string
		for _, c := range d.Changes {
			change := cmp.Or(short(c.From), "none") + " → " + cmp.Or(short(c.To), "none")
			switch c.Kind {
			case diff.Added:
				change = short(c.To)
			case diff.Removed:
				change = short(c.From)
			}
			rows = append(rows, []string{string(c.Kind), clean(c.Package), change})
		}
		p.table(rows, func(kind string) func(string) string {
			switch diff.Kind(kind) {
			case diff.Tampered, diff.DigestLost:
				return p.paint.Red
			case diff.Added, diff.Upgraded:
				return p.paint.Green
			}
			return plain
		})
		fmt.Fprintf(p.out, "changes: %d; components in which nothing changed: %d\n", len(d.Changes), d.Same)
	}
	if err == nil && d.Has(kinds...) {
		return errFound
	}
	return err
}

func (p *program) reconcile() error {
	var s diff.Sides
	for file, side := range map[*string]**sbom.Graph{&p.locked: &s.Locked, &p.fetched: &s.Fetched, &p.shipped: &s.Shipped} {
		if *file == "" {
			continue
		}
		g, err := readOrResolve(*file)
		if err != nil {
			return err
		}
		*side = g
	}
	r, err := diff.Reconcile(s)
	if err != nil {
		return err
	}
	return p.report(r)
}

// readOrResolve reads a bill, or the bill of what provenance lists.
func readOrResolve(file string) (*sbom.Graph, error) {
	doc, err := readFile(file)
	if err != nil {
		return nil, err
	}
	st, err := provenance.ParseStatement(doc)
	if err != nil {
		g, _, err := read(file)
		return g, err
	}
	flow, err := predicate.FlowOf(st)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return diff.Resolved(flow.Materials), nil
}

func (p *program) account(ctx context.Context, file, artifact string) error {
	g, f, err := read(file)
	if err != nil {
		return err
	}
	var rules []account.Rule
	for _, s := range p.components {
		pattern, id, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("want -component PATTERN=ID, found %q", s)
		}
		rules = append(rules, account.Rule{Pattern: pattern, Component: id})
	}
	for _, s := range p.generated {
		pattern, why, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("want -generated PATTERN=WHY, found %q", s)
		}
		rules = append(rules, account.Rule{Pattern: pattern, Generated: why})
	}
	spin := cli.Spin(os.Stderr, artifact)
	var files *account.Files
	info, err := os.Stat(artifact)
	if _, layout := os.Lstat(filepath.Join(artifact, "oci-layout")); err == nil && (!info.IsDir() || layout == nil) {
		files, err = account.Package(ctx, artifact)
	} else if err == nil {
		files, err = account.Tree(ctx, artifact, provenance.TreeOptions{AllowCaseCollisions: true, SHA512: true,
			Progress: func(files, bytes int64) { spin.Say("%s: %d files, %s", artifact, files, cli.Bytes(bytes)) }})
	}
	spin.Stop()
	if err != nil {
		return err
	}
	l, err := account.Balance(g, files, rules...)
	if err != nil {
		return err
	}
	state, err := l.Note(g)
	if err != nil {
		return err
	}
	if p.options.out != "" {
		if f, err = p.chosen(f); err == nil {
			err = p.write(g, f)
		}
		if err != nil {
			return err
		}
	}
	if p.json {
		err = p.printJSON(l)
	} else {
		const most = 50
		var rows [][]string
		for _, e := range l.Entries {
			if e.State == account.Unknown && len(rows) < most {
				rows = append(rows, []string{"unknown", clean(e.Name), cli.Bytes(e.Size)})
			}
		}
		p.table(rows, func(string) func(string) string { return p.paint.Red })
		if n := l.Files[account.Unknown]; n > most {
			fmt.Fprintf(p.out, "… and %d more\n", n-most)
		}
		rows = nil
		for _, s := range []account.State{account.Owned, account.Generated, account.Unknown} {
			rows = append(rows, []string{string(s), fmt.Sprint(l.Files[s]) + " files", cli.Bytes(l.Bytes[s])})
		}
		p.table(rows, nil)
		fmt.Fprintf(p.out, "%s of it by digest; the bill is %s\n", cli.Bytes(l.Proven), state)
	}
	if err == nil && !l.Complete() {
		return errFound
	}
	return err
}

func profiles() []string {
	var names []string
	for _, p := range quality.Profiles() {
		names = append(names, string(p))
	}
	return names
}

func (p *program) score(file string) error {
	g, f, err := read(file)
	if err != nil {
		return err
	}
	if p.profile != "" {
		r, err := quality.Check(g, quality.Profile(p.profile), quality.Options{Spec: strings.TrimSuffix(f.String(), " JSON")})
		if err != nil {
			return err
		}
		return p.report(r)
	}
	if p.format != "" {
		return errors.New("-format is for the report about a -profile; a score is text or -json")
	}
	s, err := quality.ScoreOf(g)
	if err != nil {
		return err
	}
	if p.json {
		err = p.printJSON(s)
	} else {
		var rows [][]string
		for _, f := range s.Features {
			knowable := "-"
			if k, ok := f.Knowable(); ok {
				knowable = fmt.Sprintf("%4.1f", k)
			}
			rows = append(rows, []string{knowable, f.Category, f.Name, fmt.Sprintf("%d of %d", f.Have, f.Total), map[bool]string{true: fmt.Sprintf("%d cannot be known", f.Unknown)}[f.Unknown > 0]})
		}
		p.table(rows, func(score string) func(string) string {
			switch n, err := strconv.ParseFloat(strings.TrimSpace(score), 64); {
			case err != nil:
				return p.paint.Dim
			case n == 10:
				return p.paint.Green
			case n < 5:
				return p.paint.Red
			}
			return plain
		})
		fmt.Fprintf(p.out, "%s of 10 over what can be known, %.1f over everything; %d fields are not scored\n", p.paint.Bold(fmt.Sprintf("%.1f", s.Knowable)), s.Overall, len(s.NotScored))
	}
	if err == nil && s.Knowable < p.least {
		return errFound
	}
	return err
}

func (p *program) sign(file string) error {
	if len(p.keys) != 1 {
		return errors.New("want one -key, a private key")
	}
	doc, err := readFile(file)
	if err != nil {
		return err
	}
	if f, err := sbom.Detect(doc); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	} else if f.PredicateType() != string(sbom.CycloneDX) {
		return fmt.Errorf("%s is %s: only CycloneDX in JSON has a place for a signature; attest the others instead", file, f)
	}
	var passphrase func() ([]byte, error)
	if s, ok := os.LookupEnv("SBOM_PASSPHRASE"); ok {
		passphrase = func() ([]byte, error) { return []byte(s), nil }
	}
	key, _, err := sign.ReadPrivateKey(p.keys[0], passphrase)
	if err != nil {
		return err
	}
	signed, err := jsf.Sign(doc, key, jsf.Options{KeyID: p.keyID})
	if err != nil {
		return err
	}
	return p.document(signed)
}

func (p *program) verify(file string) error {
	trusted, _, err := publicKeys(p.keys)
	if err != nil {
		return err
	}
	if len(trusted) == 0 {
		return errors.New("want -key, a public key that is trusted")
	}
	doc, err := readFile(file)
	if err != nil {
		return err
	}
	key, err := jsf.Verify(doc, trusted...)
	var bad *provenance.FormatError
	if err != nil && !errors.As(err, &bad) {
		return err
	}
	result := struct {
		Verified bool   `json:"verified"`
		Key      string `json:"key,omitempty"` // the file of the key
		Reason   string `json:"reason,omitempty"`
		Message  string `json:"message,omitempty"`
	}{Verified: err == nil}
	if err != nil {
		result.Reason, result.Message = bad.Reason, err.Error()
	} else {
		i := slices.IndexFunc(trusted, func(k crypto.PublicKey) bool {
			e, ok := k.(interface{ Equal(crypto.PublicKey) bool })
			return ok && e.Equal(key)
		})
		result.Key = p.keys[max(i, 0)]
	}
	switch {
	case p.json:
		if err := p.printJSON(result); err != nil {
			return err
		}
	case err == nil:
		fmt.Fprintf(p.out, "%s  signed by the key in %s\n", p.paint.Green("verified"), result.Key)
	default:
		fmt.Fprintf(p.out, "%s  %s\n", p.paint.Red(result.Reason), clean(result.Message))
	}
	if err != nil {
		return errFound
	}
	return nil
}
