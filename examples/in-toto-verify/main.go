// Command in-toto-verify judges a product by an in-toto layout and links, with
// the flags of the reference implementation's program of that name.
//
//	in-toto-verify --layout root.layout --verification-keys alice.pub --link-dir links
//
// Like that program it looks at the product, for inspections, in the current
// directory; unlike it, it runs no command of a layout unless told to by
// --run-inspections-unsafe.
//
// It exits with 0 if the product passes, 1 if it is refused, and 2 if it
// cannot be judged: wrong usage, input that cannot be read.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/verify/cel"
	"github.com/hallmark-build/hallmark/verify/intoto"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const usage = `usage: in-toto-verify -l LAYOUT -k KEY... [flags]

  -l, --layout PATH              the layout: Metablock, DSSE envelope or, unsigned, YAML (required)
  -k, --layout-keys PATH...      public keys, PEM or JSON; the layout must be signed by each (required)
      --verification-keys PATH...   the same
  -t, --key-types TYPE...        rsa, ed25519 or ecdsa for each key; they are checked, not needed
  -d, --link-dir PATH            where the links are; default: the current directory
  -i, --intermediate-certs PATH...  certificates between functionaries' and the layout's roots
  -p, --parameter NAME=VALUE...  values for {NAME} in the layout
      --deny-unmatched           refuse artifacts that no rule speaks of
      --at TIME                  the instant of judgement, RFC 3339; default: now
      --run-inspections-unsafe   run the commands of the layout here, with your rights
      --inspection-timeout SECS  how long each may take; default: 10
      --unsigned-layout-unsafe   accept a YAML layout (ITE-10) that nobody has signed
  -v, --verbose                  say what was done; -q, --quiet: say nothing
Exit codes: 0 passed, 1 refused, 2 cannot judge.
`

type arguments struct {
	layout, linkDir, at                        string
	keys, types, intermediates, parameters     []string
	run, denyUnmatched, unsigned, loud, silent bool
	timeout                                    string
}

// parse reads arguments as argparse does: a flag that takes several values
// takes all words up to the next flag, or may be repeated.
func parse(args []string) (*arguments, error) {
	a := &arguments{linkDir: ".", timeout: "10"}
	one := map[string]*string{"-l": &a.layout, "--layout": &a.layout, "-d": &a.linkDir, "--link-dir": &a.linkDir, "--at": &a.at, "--inspection-timeout": &a.timeout}
	many := map[string]*[]string{
		"-k": &a.keys, "--layout-keys": &a.keys, "--verification-keys": &a.keys, "-t": &a.types, "--key-types": &a.types, "--layout-key-types": &a.types,
		"-i": &a.intermediates, "--intermediate-certs": &a.intermediates, "-p": &a.parameters, "--parameter": &a.parameters,
	}
	flags := map[string]*bool{"--run-inspections-unsafe": &a.run, "--deny-unmatched": &a.denyUnmatched, "--unsigned-layout-unsafe": &a.unsigned,
		"-v": &a.loud, "--verbose": &a.loud, "-q": &a.silent, "--quiet": &a.silent}
	for len(args) > 0 {
		name, value, inline := args[0], "", false
		if strings.HasPrefix(name, "--") {
			name, value, inline = strings.Cut(name, "=")
		}
		rest := args[1:]
		var values []string
		for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !inline {
			values, rest = append(values, rest[0]), rest[1:]
		}
		if inline {
			values = []string{value}
		}
		switch {
		case name == "-g" || name == "--gpg" || name == "--gpg-home":
			return nil, fmt.Errorf("%s: OpenPGP signatures are not supported; sign the layout with an RSA, Ed25519 or ECDSA key", name)
		case one[name] != nil:
			if len(values) != 1 {
				return nil, fmt.Errorf("%s: want one value, found %d", name, len(values))
			}
			*one[name] = values[0]
		case many[name] != nil:
			if len(values) == 0 {
				return nil, fmt.Errorf("%s: want a value", name)
			}
			*many[name] = append(*many[name], values...)
		case flags[name] != nil:
			if len(values) > 0 {
				return nil, fmt.Errorf("%s takes no value, found %q", name, values[0])
			}
			*flags[name] = true
		default:
			return nil, fmt.Errorf("unknown argument %q", args[0])
		}
		args = rest
	}
	switch {
	case a.layout == "":
		return nil, errors.New("--layout is required")
	case len(a.keys) == 0 && !a.unsigned:
		return nil, errors.New("--layout-keys is required: nobody could have signed the layout")
	case len(a.types) > 0 && len(a.types) != len(a.keys):
		return nil, fmt.Errorf("%d key types for %d keys", len(a.types), len(a.keys))
	}
	return a, nil
}

func run(args []string, out, errs io.Writer) int {
	ctx, cancel := cli.Context()
	defer cancel()
	fail := func(err error) int {
		fmt.Fprintln(errs, "in-toto-verify:", err)
		return cli.Cannot
	}
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
		return cli.Usage(args, out, errs, usage)
	}
	a, err := parse(args)
	if err != nil {
		return fail(err)
	}
	options, err := a.options()
	if err != nil {
		return fail(err)
	}
	document, err := readFile(a.layout)
	if err != nil {
		return fail(err)
	}
	keys, err := a.readKeys()
	if err != nil {
		return fail(err)
	}
	links, err := os.OpenRoot(a.linkDir)
	if err != nil {
		return fail(err)
	}
	defer links.Close()
	summary, err := intoto.Verify(ctx, document, keys, links.FS(), options)
	var refused *intoto.RefusedError
	switch {
	case errors.As(err, &refused):
		if !a.silent {
			fmt.Fprint(errs, refused.Explain())
		}
		return cli.Refused
	case err != nil:
		return fail(err)
	}
	if !a.silent {
		show(out, summary, a.loud)
	}
	return cli.OK
}

func (a *arguments) options() (o intoto.Options, err error) {
	o = intoto.Options{At: time.Now(), DenyUnmatched: a.denyUnmatched, UnsignedLayoutUnsafe: a.unsigned, Conditions: cel.Compiler{}, Parameters: map[string]string{}}
	if a.at != "" {
		if o.At, err = time.Parse(time.RFC3339, a.at); err != nil {
			return o, errors.New("--at: want RFC 3339, such as 2026-01-31T12:00:00Z")
		}
	}
	for _, p := range a.parameters {
		name, value, ok := strings.Cut(p, "=")
		if _, dup := o.Parameters[name]; !ok || dup {
			return o, fmt.Errorf("--parameter: want NAME=VALUE, once for each name, found %q", p)
		}
		o.Parameters[name] = value
	}
	for _, f := range a.intermediates {
		data, err := readFile(f)
		if err != nil {
			return o, err
		}
		o.Intermediates = append(o.Intermediates, data)
	}
	timeout, err := time.ParseDuration(a.timeout + "s")
	if err != nil || timeout <= 0 {
		return o, fmt.Errorf("--inspection-timeout: want seconds, found %q", a.timeout)
	}
	if a.run {
		o.Executor = executor{timeout}
	}
	return o, nil
}

func (a *arguments) readKeys() ([]layout.Key, error) {
	var keys []layout.Key
	for i, file := range a.keys {
		data, err := readFile(file)
		if err != nil {
			return nil, err
		}
		k, err := layout.ParseKey(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(a.types) > 0 && !strings.HasPrefix(k.KeyType, a.types[i]) {
			return nil, fmt.Errorf("%s: a key of type %s, want %s", file, k.KeyType, a.types[i])
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// readFile reads a regular file of up to 64 MiB.
func readFile(name string) ([]byte, error) {
	return regular.Read(name, 64<<20)
}

func show(out io.Writer, s *intoto.Summary, loud bool) {
	fmt.Fprintf(out, "passed: %s, %s, %s\n", cli.Count(len(s.Steps), "step"), cli.Count(len(s.Materials), "material"), cli.Count(len(s.Products), "product"))
	if loud {
		for _, step := range s.Steps {
			fmt.Fprintf(out, "  step %q: %s, %s, by %s\n", step.Name, cli.Count(len(step.Materials), "material"), cli.Count(len(step.Products), "product"), strings.Join(step.Functionaries, ", "))
		}
		for _, i := range s.Inspections {
			fmt.Fprintf(out, "  inspection %q\n", i)
		}
	}
	for _, n := range s.Notes {
		fmt.Fprintln(out, "  note:", n)
	}
}
