package ingest

import (
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
)

// Dockerfile reads the inputs of a Dockerfile: images of FROM, of COPY --from, of
// RUN --mount=from and of the syntax directive, and what ADD downloads, with its
// --checksum or the commit of a git repository. args are the build arguments
// (--build-arg); they stand in for the defaults of the ARGs before the first
// FROM, as only those may be used in it.
//
// Stages are no inputs, nor is "scratch". What a RUN downloads cannot be seen,
// nor what --build-context puts in the place of an image.
//
// Refused: a file without FROM, a variable with an operator other than "-" and "+", and a
// heredoc or a continuation that does not end.
//
// Stated as the materials of the build (provenance v1, resolvedDependencies),
// a policy can demand that every image is the product of a stage or an admitted
// input; a condition is
//
//	predicate.buildDefinition.resolvedDependencies.exists(d,
//	  d.uri.startsWith("pkg:oci/golang@sha256:"))
func Dockerfile(r io.Reader, args map[string]string) (*Inputs, error) {
	in, err := dockerfile(r, args)
	return in, wrap("Dockerfile", err)
}

// dockerReader is what is known while the instructions are read in turn.
type dockerReader struct {
	inputs
	args   map[string]string // the caller's
	global map[string]string // ARGs before the first FROM, which have a value
	stages int
	byName map[string]bool // the names of stages, in lower case
}

var (
	dockerDirective   = regexp.MustCompile(`^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.*?)\s*$`)
	dockerInstruction = regexp.MustCompile(`^\s*([a-zA-Z]+)(?:\s+(.*))?$`)
	dockerHeredocWord = regexp.MustCompile(`^[0-9]*<<(-?)([^<]+)$`)
	dockerFlag        = regexp.MustCompile(`^--([a-z]+)(?:=(.*))?$`)
	gitCommitHash     = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

func dockerfile(r io.Reader, args map[string]string) (*Inputs, error) {
	data, err := readAll(r, limits.ToolSource)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, malformed("not UTF-8")
	}
	d := dockerReader{args: args, global: map[string]string{}, byName: map[string]bool{}}
	all := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	escape, directives := `\`, true
	for i := 0; i < len(all); i++ {
		start := i + 1
		text := strings.TrimRight(all[i], " \t\r")
		if directives {
			if strings.HasPrefix(text, "#!") {
				// BuildKit looks for the syntax below it, and for other directives not.
				return nil, malformed("line %d: a line #! is not read", start)
			}
			if m := dockerDirective.FindStringSubmatch(text); m != nil {
				switch strings.ToLower(m[1]) {
				case "syntax":
					err = d.image(m[2], line(start))
				case "escape":
					if escape = m[2]; escape != "`" && escape != `\` {
						err = malformed("line %d: escape: want \\ or `, found %s", start, clip(escape))
					}
				}
				if err != nil {
					return nil, err
				}
				continue
			}
			directives = false // they must come first
		}
		if t := strings.TrimSpace(text); t == "" || t[0] == '#' {
			continue
		}
		// Comments and empty lines within a continued instruction are skipped.
		// An escape that is itself escaped continues nothing.
		var b strings.Builder
		for {
			head, more := strings.CutSuffix(text, escape)
			if strings.HasSuffix(head, escape) {
				head, more = text, false
			}
			b.WriteString(head)
			if !more {
				break
			}
			for i++; i < len(all); i++ {
				if t := strings.TrimSpace(all[i]); t != "" && t[0] != '#' {
					break
				}
			}
			if i >= len(all) {
				return nil, fail(ReasonIncomplete, "line %d: an instruction that does not end", start)
			}
			text = strings.TrimRight(all[i], " \t\r")
		}
		m := dockerInstruction.FindStringSubmatch(b.String())
		if m == nil {
			return nil, malformed("line %d: not an instruction: %s", start, clip(b.String()))
		}
		keyword, rest := strings.ToUpper(m[1]), strings.TrimSpace(m[2])
		heredocs, err := dockerHeredocs(keyword, rest)
		if err != nil {
			return nil, wrap(line(start), err)
		}
		for _, h := range heredocs {
			for i++; ; i++ {
				if i >= len(all) {
					return nil, fail(ReasonIncomplete, "line %d: the heredoc %s does not end", start, clip(h.end))
				}
				last := strings.TrimSuffix(all[i], "\r")
				if h.tabs {
					last = strings.TrimLeft(last, "\t")
				}
				if last == h.end {
					break
				}
			}
		}
		if err := d.instruction(keyword, rest, line(start)); err != nil {
			return nil, wrap(line(start), err)
		}
	}
	if d.stages == 0 {
		return nil, fail(ReasonNothingRun, "there is no FROM")
	}
	return d.done(), nil
}

type dockerHeredoc struct {
	end  string
	tabs bool // the end may be indented by tabs
}

// dockerHeredocs returns the heredocs that an instruction begins, as BuildKit
// sees them: words of the shell that begin with <<. What stands in quotes is
// none: who took it for one would pass over the lines that follow.
func dockerHeredocs(keyword, rest string) ([]dockerHeredoc, error) {
	if keyword == "ONBUILD" {
		m := dockerInstruction.FindStringSubmatch(rest)
		if m == nil {
			return nil, nil
		}
		keyword, rest = strings.ToUpper(m[1]), m[2]
	}
	if keyword != "RUN" && keyword != "COPY" && keyword != "ADD" || !strings.Contains(rest, "<<") {
		return nil, nil
	}
	var list []string
	if json.Unmarshal([]byte(rest), &list) == nil {
		return nil, nil // the form without a shell
	}
	var found []dockerHeredoc
	words, ok := shellWords(rest)
	if !ok {
		return nil, malformed("a quote that does not end, beside <<")
	}
	for _, w := range words {
		if m := dockerHeredocWord.FindStringSubmatch(w); m != nil {
			found = append(found, dockerHeredoc{strings.NewReplacer(`"`, "", `'`, "", `\`, "").Replace(m[2]), m[1] == "-"})
		}
	}
	return found, nil
}

// shellWords splits at white space outside quotes, and keeps the quotes.
func shellWords(s string) (words []string, ok bool) {
	start, quote := -1, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if start < 0 && c != ' ' && c != '\t' {
			start = i
		}
		switch {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case (c == ' ' || c == '\t') && start >= 0:
			words, start = append(words, s[start:i]), -1
		}
	}
	if start >= 0 {
		words = append(words, s[start:])
	}
	return words, quote == 0
}

func (d *dockerReader) instruction(keyword, rest, where string) error {
	if keyword == "ONBUILD" {
		m := dockerInstruction.FindStringSubmatch(rest)
		if m == nil {
			return malformed("not an instruction: %s", clip(rest))
		}
		keyword, rest = strings.ToUpper(m[1]), strings.TrimSpace(m[2])
	}
	words := strings.Fields(rest)
	flags := map[string][]string{}
	for len(words) > 0 {
		m := dockerFlag.FindStringSubmatch(words[0])
		if m == nil {
			break
		}
		flags[m[1]] = append(flags[m[1]], m[2])
		words = words[1:]
	}
	switch keyword {
	case "ARG":
		if d.stages > 0 {
			return nil
		}
		for _, w := range words {
			name, value, has := strings.Cut(w, "=")
			given, ok := d.args[name]
			switch {
			case ok:
				d.global[name] = given
			case has:
				v, err := d.expand(strings.Trim(value, `"'`))
				if err != nil {
					return err
				}
				d.global[name] = v
			}
		}
	case "FROM":
		return d.from(words, where)
	case "COPY":
		for _, from := range flags["from"] {
			if err := d.use(from, where); err != nil {
				return err
			}
		}
	case "RUN":
		for _, mount := range flags["mount"] {
			for option := range strings.SplitSeq(mount, ",") {
				if from, ok := strings.CutPrefix(strings.Trim(option, `"`), "from="); ok {
					if err := d.use(from, where); err != nil {
						return err
					}
				}
			}
		}
	case "ADD":
		for i := 0; i+1 < len(words); i++ {
			if err := d.download(words[i], flags["checksum"], where); err != nil {
				return err
			}
		}
	}
	return nil
}

// from reads "image [AS name]".
func (d *dockerReader) from(words []string, where string) error {
	name := ""
	switch {
	case len(words) == 1:
	case len(words) == 3 && strings.EqualFold(words[1], "as"):
		name = strings.ToLower(words[2])
	default:
		return malformed("want FROM image [AS name], found %s", clip(strings.Join(words, " ")))
	}
	ref, err := d.expand(words[0])
	if err != nil {
		return err
	}
	// A stage shadows an image of the same name.
	if ref != "scratch" && !d.isStage(ref) {
		if err := d.image(ref, where); err != nil {
			return err
		}
	}
	d.stages++
	d.byName[name] = true
	return nil
}

func (d *dockerReader) isStage(name string) bool {
	return name != "" && d.byName[strings.ToLower(name)]
}

// use reads what --from names: a stage, by name or by number, or an image.
func (d *dockerReader) use(from, where string) error {
	from = strings.Trim(from, `"'`)
	if n, err := strconv.Atoi(from); err == nil && n >= 0 && n < d.stages || d.isStage(from) || from == "" || from == "scratch" {
		return nil
	}
	return d.image(from, where)
}

// download reads one source of ADD. One in the context is no input of its own.
func (d *dockerReader) download(source string, checksums []string, where string) error {
	source = public(strings.Trim(source, `"'[],`))
	remote := strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
	git := strings.HasPrefix(source, "git@") || strings.HasPrefix(source, "git://") || strings.HasPrefix(source, "ssh://")
	base, fragment, _ := strings.Cut(source, "#")
	if remote && strings.HasSuffix(strings.SplitN(base, "?", 2)[0], ".git") {
		git = true
	}
	switch {
	case !remote && !git:
		return nil
	case strings.Contains(source, "$"):
		return d.unresolve(source, where, whyVariable)
	case git:
		commit, _, _ := strings.Cut(fragment, ":")
		if !gitCommitHash.MatchString(commit) {
			return d.unresolve(source, where, whyTag)
		}
		digest, err := provenance.NewDigest(provenance.GitCommit, commit)
		if err != nil {
			return err
		}
		return d.resolve(provenance.ResourceDescriptor{Name: source, URI: "git+" + base, Digest: provenance.DigestSet{digest}})
	}
	if len(checksums) == 1 {
		if digest, err := provenance.ParseDigest(checksums[0]); err == nil && digest.Algorithm().Strong() {
			return d.resolve(provenance.ResourceDescriptor{Name: source, URI: source, Digest: provenance.DigestSet{digest}})
		}
	}
	return d.unresolve(source, where, whyDownload)
}

var dockerVariable = regexp.MustCompile(`\\\$|\$([a-zA-Z_][a-zA-Z0-9_]*)|\$\{([a-zA-Z_][a-zA-Z0-9_]*)(:?[-+])?([^${}]*)\}`)

// expand puts in the values of variables. One that has none stays as it is, so that the
// reference is unresolved, where Docker would put in nothing.
func (d *dockerReader) expand(s string) (string, error) {
	var bad error
	out := dockerVariable.ReplaceAllStringFunc(s, func(v string) string {
		m := dockerVariable.FindStringSubmatch(v)
		name, op, word := m[1]+m[2], m[3], m[4]
		if name == "" {
			return v
		}
		value, set := d.global[name]
		set = set && (value != "" || !strings.HasPrefix(op, ":"))
		switch {
		case op == "" && word != "":
			bad = malformed("%s: only the operators - and + are read", clip(v))
		case strings.HasSuffix(op, "-") && !set:
			return word
		case strings.HasSuffix(op, "+"):
			if set {
				return word
			}
			return ""
		case set:
			return value
		}
		return v
	})
	if len(out) > limits.ToolName {
		return "", fail(provenance.ReasonLimit, "a value of %d bytes, more than %d", len(out), limits.ToolName)
	}
	return strings.Trim(out, `"'`), bad
}
