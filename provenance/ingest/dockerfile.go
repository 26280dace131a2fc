package ingest

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
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
// nor what --build-context puts in the place of an image. A source of ADD with
// a variable in it is unresolved: it can be a URL.
//
// The lines are taken apart as BuildKit takes them. Refused: a file without FROM,
// an instruction that is none, a variable with an operator other than "-" and "+", a
// heredoc or a continuation that does not end, and what versions of BuildKit
// disagree about: a carriage return within a line, variables beside heredocs.
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
	escape string            // "\\" or "`"
	args   map[string]string // the caller's
	global map[string]string // ARGs before the first FROM, which have a value
	stages int
	byName map[string]bool // the names of stages, in lower case
}

var (
	dockerDirective   = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$`)
	dockerInstruction = regexp.MustCompile(`^\s*([a-zA-Z]+)(?:\s+(.*))?$`)
	dockerHeredocWord = regexp.MustCompile(`^[0-9]*<<(-?)([^<]+)$`)
	// A variable whose value, or what stands in for it, could be a heredoc's beginning.
	dockerHeredocVar = regexp.MustCompile(`\$\{[^}]*<|<<\S*\$\{|\$\{\S*<<`)
	// user@host:path is a git repository over SSH.
	dockerGitSSH  = regexp.MustCompile(`^[a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:`)
	gitCommitHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// dockerInstructions are those that there are. Another one would be refused by
// whatever builds the file, so that it is not known what the rest means.
var dockerInstructions = map[string]bool{
	"ADD": true, "ARG": true, "CMD": true, "COPY": true, "ENTRYPOINT": true, "ENV": true, "EXPOSE": true, "FROM": true, "HEALTHCHECK": true,
	"LABEL": true, "MAINTAINER": true, "ONBUILD": true, "RUN": true, "SHELL": true, "STOPSIGNAL": true, "USER": true, "VOLUME": true, "WORKDIR": true,
}

func dockerfile(r io.Reader, args map[string]string) (*Inputs, error) {
	data, err := readAll(r, limits.ToolSource)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, malformed("not UTF-8")
	}
	all := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	for i := range all {
		if all[i] = strings.TrimSuffix(all[i], "\r"); strings.Contains(all[i], "\r") {
			return nil, malformed("line %d: a carriage return within the line", i+1)
		}
	}
	d := dockerReader{args: args, global: map[string]string{}, byName: map[string]bool{}, escape: `\`}
	directives, seen := true, map[string]bool{}
	for i := 0; i < len(all); i++ {
		start := i + 1
		text := all[i]
		if directives {
			if strings.HasPrefix(text, "#!") {
				// BuildKit looks for the syntax below it, and for other directives not.
				return nil, malformed("line %d: a line #! is not read", start)
			}
			if name, value := directive(text); name != "" {
				switch {
				case seen[name]:
					err = malformed("line %d: a second directive %s", start, name)
				case name == "syntax":
					err = d.image(value, line(start))
				case name == "escape" && seen["check"]:
					// Older versions do not know that one, and stop at it.
					err = malformed("line %d: escape after check", start)
				case name == "escape":
					if d.escape = value; value != "`" && value != `\` {
						err = malformed("line %d: escape: want \\ or `, found %s", start, clip(value))
					}
				}
				if err != nil {
					return nil, err
				}
				seen[name] = true
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
			head, more := strings.CutSuffix(strings.TrimRight(text, " \t"), d.escape)
			if !more || strings.HasSuffix(head, d.escape) {
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
			text = all[i]
		}
		m := dockerInstruction.FindStringSubmatch(b.String())
		if m == nil || !dockerInstructions[strings.ToUpper(m[1])] {
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
				last := all[i]
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

// directive returns the name and the value of a parser directive, and "" for
// any other comment, which ends them.
func directive(text string) (name, value string) {
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(text, unicode.IsSpace), "#")
	if !ok {
		return "", ""
	}
	m := dockerDirective.FindStringSubmatch(strings.TrimLeftFunc(rest, unicode.IsSpace))
	if m == nil {
		return "", ""
	}
	switch name = strings.ToLower(m[1]); name {
	case "syntax", "escape", "check":
		return name, m[2]
	}
	return "", ""
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
	words, ok := shellWords(rest, '\\')
	if !ok {
		return nil, malformed("a quote that does not end, beside <<")
	}
	if dockerHeredocVar.MatchString(rest) {
		return nil, malformed("a variable beside <<")
	}
	for _, w := range words {
		if m := dockerHeredocWord.FindStringSubmatch(w); m != nil {
			if strings.Contains(w, "$") {
				return nil, malformed("a heredoc whose name has a variable: %s", clip(w))
			}
			found = append(found, dockerHeredoc{strings.NewReplacer(`"`, "", `'`, "", `\`, "").Replace(m[2]), m[1] == "-"})
		}
	}
	return found, nil
}

// shellWords splits at white space outside quotes, and keeps the quotes.
func shellWords(s string, escape byte) (words []string, ok bool) {
	start, quote := -1, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if start < 0 && c != ' ' && c != '\t' {
			start = i
		}
		switch {
		case c == escape && quote != '\'':
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
	given, rest := builderFlags(rest)
	flags := map[string][]string{}
	for _, f := range given {
		name, value, _ := strings.Cut(f, "=")
		flags[name] = append(flags[name], value)
	}
	words := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("\t\v\f\r ", r) })
	switch keyword {
	case "ARG":
		if d.stages > 0 {
			return nil
		}
		words, ok := shellWords(rest, d.escape[0])
		if !ok {
			return malformed("a quote that does not end")
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
		for _, from := range flags["--from"] {
			if err := d.use(from, where); err != nil {
				return err
			}
		}
	case "RUN":
		for _, mount := range flags["--mount"] {
			options, err := csv.NewReader(strings.NewReader(mount)).Read()
			if err != nil {
				return malformed("--mount: want options separated by commas, found %s", clip(mount))
			}
			for _, option := range options {
				if name, from, ok := strings.Cut(option, "="); ok && strings.EqualFold(strings.TrimSpace(name), "from") {
					if err := d.use(from, where); err != nil {
						return err
					}
				}
			}
		}
	case "ADD":
		var list []string
		if json.Unmarshal([]byte(rest), &list) == nil {
			words = list
		}
		for i := 0; i+1 < len(words); i++ {
			if err := d.download(words[i], flags["--checksum"], where); err != nil {
				return err
			}
		}
	}
	return nil
}

// builderFlags takes the flags off the front of an instruction's arguments:
// words that begin with "--", up to "--" alone. Quotes in them and backslashes
// before a character are taken away, whatever the escape directive says.
func builderFlags(s string) (flags []string, rest string) {
	for {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
		if !strings.HasPrefix(s, "--") {
			return flags, s
		}
		var word []rune
		quote, escaped, end := rune(0), false, len(s)
		for i, c := range s {
			switch {
			case escaped:
				word, escaped = append(word, c), false
			case c == '\\':
				escaped = true
			case quote != 0:
				if c == quote {
					quote = 0
				} else {
					word = append(word, c)
				}
			case c == '"' || c == '\'':
				quote = c
			case unicode.IsSpace(c):
				end = i
			default:
				word = append(word, c)
			}
			if end < len(s) {
				break
			}
		}
		s = s[end:]
		if string(word) == "--" {
			return flags, strings.TrimLeftFunc(s, unicode.IsSpace)
		}
		flags = append(flags, string(word))
	}
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

var dockerQuotes = strings.NewReplacer(`"`, "", `'`, "", `\`, "", "`", "")

// download reads one source of ADD. One in the context is no input of its own.
func (d *dockerReader) download(source string, checksums []string, where string) error {
	// Quotes and escapes are taken away wherever they are.
	source = public(strings.Trim(dockerQuotes.Replace(source), "[],"))
	remote := strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
	git := dockerGitSSH.MatchString(source) || strings.HasPrefix(source, "git://") || strings.HasPrefix(source, "ssh://")
	base, fragment, _ := strings.Cut(source, "#")
	if remote && strings.HasSuffix(strings.SplitN(base, "?", 2)[0], ".git") {
		git = true
	}
	switch {
	case strings.Contains(source, "$"):
		return d.unresolve(source, where, whyVariable)
	case !remote && !git:
		return nil
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
