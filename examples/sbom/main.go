// Command sbom makes bills of materials and works with them:
//
//	sbom generate [-o FILE] [-format FORMAT] dir|binary|image|package PATH
//	sbom convert  [-o FILE] -format FORMAT FILE
//	sbom merge    [-o FILE] FILE FILE...
//	sbom assemble [-o FILE] -name NAME -version VERSION FILE...
//	sbom query    FILE PATTERN            which components a package URL pattern means
//	sbom diff     OLD NEW                 what changed
//	sbom reconcile -locked FILE -fetched FILE -shipped FILE
//	sbom account  [-rule …] FILE ARTIFACT which component every byte belongs to
//	sbom score    [-profile PROFILE] FILE the fields that are there, of those that guidelines ask for
//	sbom license  -allow LIST FILE        the licences, by a policy
//	sbom scan     -db PATH FILE           known vulnerabilities, offline, and what VEX says of them
//	sbom sign     [-o FILE] -key FILE FILE
//	sbom verify   -key FILE... FILE
//
// It exits with 0 if all is well; 1 if a bill was judged and something was
// found (a digest that changed, a file that belongs to nothing, a field that is
// missing, a vulnerability, a signature that does not verify); and 2 if nothing
// could be judged.
//
// Documents carry the time in SOURCE_DATE_EPOCH, if that is set.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/scan"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

const usage = `usage: sbom generate [-o FILE] [-format FORMAT] [-source DIR] dir|binary|image|package PATH
       sbom convert  [-o FILE] -format FORMAT FILE
       sbom merge    [-o FILE] [-format FORMAT] FILE FILE...
       sbom assemble [-o FILE] -name NAME -version VERSION FILE...
       sbom query    [-json] FILE PATTERN
       sbom diff     [-json] [-fail KINDS] OLD NEW
       sbom reconcile [-json|-format FORMAT] [-locked FILE] [-fetched FILE] [-shipped FILE]
       sbom account  [-json] [-o FILE] [-generated PATTERN=WHY] [-component PATTERN=ID] FILE ARTIFACT
       sbom score    [-json|-format FORMAT] [-profile PROFILE] [-min SCORE] FILE
       sbom license  [-json|-format FORMAT] [-policy FILE] [-allow LIST] [-deny LIST] FILE
       sbom scan     [-json|-format FORMAT] -db PATH [-vex FILE -vex-key FILE] FILE
       sbom sign     [-o FILE] -key FILE FILE
       sbom verify   -key FILE [-key FILE] FILE

Exit codes: 0 fine, 1 something was found, 2 nothing could be judged.
`

// errFound says that a bill was judged, and not found good.
var errFound = errors.New("something was found")

// A command is one of the program's verbs. It prints to p.out.
type command struct {
	min, max int // arguments; max -1 is any number
	define   func(*flag.FlagSet, *options)
	run      func(context.Context, *program, []string) error
}

type options struct {
	out, format, name, version string
	author                     string
	json                       bool
	fail, profile              string
	least                      float64
	db                         string
	maxAge                     time.Duration
	keys                       list
	keyID                      string
	locked, fetched, shipped   string
	generated, components      list
	source, licence, supplier  string
	vex, vexKeys               list
	unsafeVEX                  bool
	policy                     string
	allow, deny                commas
	unsafeUnlisted             bool
	unsafeUnknown              bool
}

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// commas is a list whose elements may also be given at once.
type commas []string

func (c *commas) String() string { return strings.Join(*c, ",") }
func (c *commas) Set(s string) error {
	for e := range strings.SplitSeq(s, ",") {
		if e = strings.TrimSpace(e); e == "" {
			return errors.New("want names, separated by commas")
		} else {
			*c = append(*c, e)
		}
	}
	return nil
}

type program struct {
	options
	out   *os.File
	paint cli.Paint
	now   time.Time

	allLosses bool // also what is kept under names of our own
}

func output(f *flag.FlagSet, o *options) {
	f.StringVar(&o.out, "o", "", "write the document to this file; default standard output")
}

func written(f *flag.FlagSet, o *options) {
	output(f, o)
	f.StringVar(&o.format, "format", "", "one of "+strings.Join(formatNames(), ", "))
}

func asJSON(f *flag.FlagSet, o *options) { f.BoolVar(&o.json, "json", false, "print JSON") }

// reported is for commands that print the report of a gate.
func reported(f *flag.FlagSet, o *options) {
	asJSON(f, o)
	f.StringVar(&o.format, "format", "", "how to print the report: "+strings.Join(reportFormats(), ", "))
}

func reportFormats() []string { return slices.Sorted(maps.Keys(gate.Renderers())) }

func named(f *flag.FlagSet, o *options) {
	written(f, o)
	f.StringVar(&o.name, "name", "", "name of what the bill is about")
	f.StringVar(&o.version, "version", "", "its version")
	f.StringVar(&o.author, "author", "", "the person who makes the bill")
}

var commands = map[string]command{
	"generate": {2, 2, func(f *flag.FlagSet, o *options) {
		named(f, o)
		f.StringVar(&o.licence, "licence", "", "dir, image: the SPDX licence of what is scanned")
		f.StringVar(&o.supplier, "supplier", "", "who supplies what the bill is about")
		f.StringVar(&o.source, "source", "", "binary: the folder of the main module; default: this directory, if it is that module's")
	}, func(ctx context.Context, p *program, a []string) error { return p.generate(ctx, a[0], a[1]) }},
	"convert":  {1, 1, written, func(ctx context.Context, p *program, a []string) error { return p.convert(a[0]) }},
	"merge":    {2, -1, written, func(ctx context.Context, p *program, a []string) error { return p.merge(a) }},
	"assemble": {1, -1, named, func(ctx context.Context, p *program, a []string) error { return p.assemble(a) }},
	"query":    {2, 2, asJSON, func(ctx context.Context, p *program, a []string) error { return p.query(a[0], a[1]) }},
	"diff": {2, 2, func(f *flag.FlagSet, o *options) {
		asJSON(f, o)
		f.StringVar(&o.fail, "fail", "same-version-other-digest,digest-lost", "exit with 1 on changes of these kinds, separated by commas")
	}, func(ctx context.Context, p *program, a []string) error { return p.diff(a[0], a[1]) }},
	"reconcile": {0, 0, func(f *flag.FlagSet, o *options) {
		reported(f, o)
		f.StringVar(&o.locked, "locked", "", "the bill of what lock files allow")
		f.StringVar(&o.fetched, "fetched", "", "the bill, or the SLSA provenance (an in-toto statement), of what was fetched")
		f.StringVar(&o.shipped, "shipped", "", "the bill of the product")
	}, func(ctx context.Context, p *program, a []string) error { return p.reconcile() }},
	"account": {2, 2, func(f *flag.FlagSet, o *options) {
		asJSON(f, o)
		written(f, o)
		f.Var(&o.generated, "generated", "PATTERN=WHY: files that the build made itself; repeat for each")
		f.Var(&o.components, "component", "PATTERN=ID: files that belong to a component; repeat for each")
	}, func(ctx context.Context, p *program, a []string) error { return p.account(ctx, a[0], a[1]) }},
	"score": {1, 1, func(f *flag.FlagSet, o *options) {
		reported(f, o)
		f.StringVar(&o.profile, "profile", "", "judge by a guideline instead of scoring: "+strings.Join(profiles(), ", "))
		f.Float64Var(&o.least, "min", 0, "exit with 1 when the score over what can be known is less")
	}, func(ctx context.Context, p *program, a []string) error { return p.score(a[0]) }},
	"license": {1, 1, func(f *flag.FlagSet, o *options) {
		reported(f, o)
		f.StringVar(&o.policy, "policy", "", "a file with a policy: a JSON object with allow, deny, exceptions")
		f.Var(&o.allow, "allow", "SPDX licences that are allowed, separated by commas; may be repeated")
		f.Var(&o.deny, "deny", "SPDX licences that are denied, separated by commas; may be repeated")
		f.BoolVar(&o.unsafeUnlisted, "unsafe-allow-unlisted", false, "allow licences that are on no list")
		f.BoolVar(&o.unsafeUnknown, "unsafe-allow-unknown", false, "allow components whose licence nobody knows")
	}, func(ctx context.Context, p *program, a []string) error { return p.license(a[0]) }},
	"scan": {1, 1, func(f *flag.FlagSet, o *options) {
		reported(f, o)
		f.StringVar(&o.db, "db", "", "zip file or folder of OSV records (required)")
		f.DurationVar(&o.maxAge, "max-age", 0, "how old the newest record may be; 0 is any age")
		f.Var(&o.vex, "vex", "OpenVEX, or CycloneDX with vulnerabilities: an attestation of it, or CycloneDX signed in the document; may be repeated")
		f.Var(&o.vexKeys, "vex-key", "public key of somebody whose VEX counts; may be repeated")
		f.BoolVar(&o.unsafeVEX, "unsafe-unsigned-vex", false, "let VEX count that nobody signed")
	}, func(ctx context.Context, p *program, a []string) error { return p.scan(ctx, a[0]) }},
	"sign": {1, 1, func(f *flag.FlagSet, o *options) {
		output(f, o)
		f.Var(&o.keys, "key", "private key (required); the passphrase of an encrypted one is taken from SBOM_PASSPHRASE")
		f.StringVar(&o.keyID, "key-id", "", "a name for the key, as a hint to readers")
	}, func(ctx context.Context, p *program, a []string) error { return p.sign(a[0]) }},
	"verify": {1, 1, func(f *flag.FlagSet, o *options) {
		asJSON(f, o)
		f.Var(&o.keys, "key", "trusted public key; repeat for each (required)")
	}, func(ctx context.Context, p *program, a []string) error { return p.verify(a[0]) }},
}

func run(args []string, out *os.File) int {
	ctx, cancel := cli.Context()
	defer cancel()
	if len(args) == 0 {
		return cli.Usage(args, out, os.Stderr, usage)
	}
	c, ok := commands[args[0]]
	if !ok {
		return cli.Usage(args, out, os.Stderr, usage)
	}
	p := &program{out: out, paint: cli.Paint(cli.Color(out)), now: time.Now()}
	f := flag.NewFlagSet("sbom "+args[0], flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
	}
	c.define(f, &p.options)
	if err := f.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return cli.OK
	} else if err != nil {
		return cli.Cannot
	}
	if n := f.NArg(); n < c.min || c.max >= 0 && n > c.max {
		f.Usage()
		return cli.Cannot
	}
	switch err := c.run(ctx, p, f.Args()); {
	case errors.Is(err, errFound):
		return cli.Refused
	case err != nil:
		return cli.Fail("sbom "+args[0], err)
	}
	return cli.OK
}

// formats by the names that users know them by.
var formats = map[string]sbom.Format{
	"cyclonedx": sbom.CycloneDX, "cyclonedx-1.4": sbom.CycloneDX14, "cyclonedx-1.5": sbom.CycloneDX15, "cyclonedx-1.6": sbom.CycloneDX16, "cyclonedx-1.7": sbom.CycloneDX17,
	"cyclonedx-xml-1.4": sbom.CycloneDXXML14, "cyclonedx-xml-1.5": sbom.CycloneDXXML15, "cyclonedx-xml-1.6": sbom.CycloneDXXML16, "cyclonedx-xml-1.7": sbom.CycloneDXXML17,
	"spdx": sbom.SPDX, "spdx-3": sbom.SPDX3, "spdx-tag-value": sbom.SPDXTagValue,
}

func formatNames() []string {
	var names []string
	for n := range formats {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// chosen is the format that the user asked for.
func (p *program) chosen(def sbom.Format) (sbom.Format, error) {
	if p.format == "" && def != "" {
		return def, nil
	}
	f, ok := formats[p.format]
	if !ok {
		return "", fmt.Errorf("want -format, one of %s, found %q", strings.Join(formatNames(), ", "), p.format)
	}
	return f, nil
}

// authors are who makes the bill.
func (p *program) authors() []sbom.Party {
	if p.author == "" {
		return nil
	}
	return []sbom.Party{{Name: p.author}}
}

// created is the time that documents carry.
func (p *program) created() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return p.now, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(n, 0), nil
}

var tool = sbom.Tool{Name: "hallmark-sbom", Version: "1"}

// maxDocument is the largest document that package sbom reads.
const maxDocument = 512 << 20

func readFile(file string) ([]byte, error) { return regular.Read(file, maxDocument) }

func read(file string) (*sbom.Graph, sbom.Format, error) {
	doc, err := readFile(file)
	if err != nil {
		return nil, "", err
	}
	f, err := sbom.Detect(doc)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	g, err := sbom.Read(doc, f)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	return g, f, nil
}

// write writes a document, and says on standard error what the format has no
// field for.
func (p *program) write(g *sbom.Graph, f sbom.Format) error {
	if g.Creation.Created.IsZero() {
		t, err := p.created()
		if err != nil {
			return err
		}
		g.Creation.Created = t
	}
	if g.Creation.Tool.Name == "" {
		g.Creation.Tool = tool
	}
	var doc strings.Builder
	losses, err := g.Write(&doc, f)
	if err != nil {
		return err
	}
	for _, l := range losses {
		if l.Kept && !p.allLosses {
			continue
		}
		how := "not written"
		if l.Kept {
			how = "kept under hallmark:"
		}
		fmt.Fprintf(os.Stderr, "sbom: note: %s: %s: %s\n", l.Field, l.Why, how)
	}
	return p.document([]byte(doc.String()))
}

func (p *program) document(doc []byte) error {
	if p.options.out == "" {
		_, err := p.out.Write(doc)
		return err
	}
	return atomicfile.WriteFile(p.options.out, doc, 0o644)
}

func (p *program) printJSON(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (p *program) generate(ctx context.Context, kind, path string) error {
	f, err := p.chosen(sbom.CycloneDX)
	if err != nil {
		return err
	}
	created, err := p.created()
	if err != nil {
		return err
	}
	spin := cli.Spin(os.Stderr, kind+" "+path)
	g, err := p.bill(ctx, kind, path, created, spin)
	spin.Stop()
	if err != nil {
		return err
	}
	state, reasons := g.Completeness()
	fmt.Fprintf(os.Stderr, "sbom: %s, %s", cli.Count(len(g.Components()), "component"), state)
	if len(reasons) > 0 {
		fmt.Fprintf(os.Stderr, " (%s)", strings.Join(reasons, ", "))
	}
	fmt.Fprintln(os.Stderr)
	if kind == "dir" && len(g.Components()) == 1 {
		fmt.Fprintf(os.Stderr, "sbom: note: nothing in %s was recognised; databases of installed packages are where the root of a file system has them: for /var/lib/dpkg, want /\n", clean(path))
	}
	return p.write(g, f)
}

func (p *program) bill(ctx context.Context, kind, path string, created time.Time, spin *cli.Spinner) (*sbom.Graph, error) {
	o := scan.Options{Created: created, Name: p.name, Version: p.version, Tool: tool, Authors: p.authors(), Digests: true,
		Licence: sbom.License{Expression: p.licence}, Supplier: sbom.Party{Name: p.supplier},
		Progress: func(seen, read int) { spin.Say("%s: %d files seen, %d read", path, seen, read) }}
	switch kind {
	case "dir":
		return scan.Dir(ctx, path, o)
	case "image":
		return scan.Image(ctx, path, o)
	case "binary":
		return p.binary(ctx, path, p.source, created, spin)
	case "package":
		dir, err := os.MkdirTemp("", "sbom")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		// Built as it would be shipped; go says what is wrong.
		name := filepath.Join(dir, "program")
		if p.name == "" {
			if abs, err := filepath.Abs(path); err == nil {
				p.name = filepath.Base(abs)
			}
		}
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", name, ".")
		cmd.Dir = path
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, out)
		}
		return p.binary(ctx, name, path, created, spin)
	}
	return nil, fmt.Errorf("want dir, binary, image or package, found %q", kind)
}
