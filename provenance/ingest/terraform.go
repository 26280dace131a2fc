package ingest

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
)

// Terraform reads the inputs of a Terraform or OpenTofu plan: its providers, with the hashes
// of the lock file, and its modules. plan is what "terraform show -json" prints of a plan,
// lock is .terraform.lock.hcl; a nil lock locks nothing.
//
// A provider is resolved to one input for each hash of the lock file, named
// "registry.terraform.io/hashicorp/aws@5.1.0#h1:…": "h1:" hashes cover the
// unpacked provider of one platform (dirHash), "zh:" its archive (sha256). A
// provider that is part of Terraform itself is no input. A module from git by
// a full commit is resolved by gitCommit, one in the same repository ("./…") is
// part of the source, and any other is unresolved: Terraform keeps no
// hash of modules.
//
// Values and variables of the plan, which may hold secrets, are not looked at.
//
// Refused: a plan that ended in an error, another format than 1.x, a lock file that
// is not one, and a provider that is in it twice.
//
// Stated as the materials of an apply step, a condition is
//
//	materials.exists(m, m.name.startsWith("registry.terraform.io/hashicorp/aws@5."))
func Terraform(plan, lock io.Reader) (*Inputs, error) {
	in, err := terraform(plan, lock)
	return in, wrap("Terraform", err)
}

type terraformModule struct {
	Calls map[string]struct {
		Source string           `json:"source"`
		Module *terraformModule `json:"module"`
	} `json:"module_calls"`
}

func terraform(plan, lock io.Reader) (*Inputs, error) {
	var doc struct {
		Format        string `json:"format_version"`
		Errored       bool   `json:"errored"`
		Configuration *struct {
			Providers map[string]struct {
				Name     string `json:"name"`
				FullName string `json:"full_name"`
			} `json:"provider_config"`
			Root terraformModule `json:"root_module"`
		} `json:"configuration"`
	}
	if _, err := readJSON(plan, &doc); err != nil {
		return nil, wrap("plan", err)
	}
	if !strings.HasPrefix(doc.Format, "1.") && doc.Format != "0.2" {
		return nil, malformed("plan: format_version: want 1.x, found %s", clip(doc.Format))
	}
	if doc.Errored {
		return nil, fail(ReasonIncomplete, "plan: it ended in an error")
	}
	if doc.Configuration == nil {
		return nil, malformed("plan: want a configuration; is it a state?")
	}
	locked := map[string]lockedProvider{}
	if lock != nil {
		var err error
		if locked, err = readTerraformLock(lock); err != nil {
			return nil, wrap("lock file", err)
		}
	}
	var in inputs
	for _, key := range slices.Sorted(maps.Keys(doc.Configuration.Providers)) {
		p := doc.Configuration.Providers[key]
		address := p.FullName
		if address == "" {
			address = p.Name
		}
		if strings.HasPrefix(address, "terraform.io/builtin/") {
			continue
		}
		if err := in.provider(address, locked[address]); err != nil {
			return nil, err
		}
	}
	if err := in.modules(&doc.Configuration.Root, "", 0); err != nil {
		return nil, err
	}
	return in.done(), nil
}

// provider adds an input for each hash of a provider.
func (in *inputs) provider(address string, p lockedProvider) error {
	if p.version == "" || len(p.hashes) == 0 {
		return in.unresolve(address, "provider", whyProvider)
	}
	for _, h := range p.hashes {
		scheme, value, _ := strings.Cut(h, ":")
		algorithm := provenance.SHA256
		switch scheme {
		case "h1":
			raw, err := base64.StdEncoding.Strict().DecodeString(value)
			if err != nil {
				return malformed("provider %s: h1: want base64, found %s", clip(address), clip(value))
			}
			algorithm, value = provenance.DirHash, hex.EncodeToString(raw)
		case "zh":
		default:
			return malformed("provider %s: want a hash of h1 or zh, found %s", clip(address), clip(scheme))
		}
		digest, err := provenance.NewDigest(algorithm, value)
		if err != nil {
			return wrap("provider "+clip(address), err)
		}
		name := address + "@" + p.version
		if err := in.resolve(provenance.ResourceDescriptor{
			Name: name + "#" + h, URI: "https://" + address + "/" + p.version, Digest: provenance.DigestSet{digest},
		}); err != nil {
			return err
		}
	}
	return nil
}

// modules adds the modules that are called, at any depth.
func (in *inputs) modules(m *terraformModule, prefix string, depth int) error {
	if depth == limits.ToolNesting {
		return fail(provenance.ReasonLimit, "modules nest deeper than %d", limits.ToolNesting)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Calls)) {
		call := m.Calls[name]
		where := prefix + "module." + name
		if call.Source == "" {
			return malformed("plan: %s has no source", clip(where))
		}
		if err := in.module(call.Source, where); err != nil {
			return err
		}
		if call.Module != nil {
			if err := in.modules(call.Module, where+".", depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in *inputs) module(source, where string) error {
	if strings.HasPrefix(source, "./") || strings.HasPrefix(source, "../") {
		return nil
	}
	base, query, _ := strings.Cut(source, "?")
	for option := range strings.SplitSeq(query, "&") {
		commit, ok := strings.CutPrefix(option, "ref=")
		if !ok || !gitCommitHash.MatchString(commit) {
			continue
		}
		if uri, ok := gitModule(base); ok {
			digest, err := provenance.NewDigest(provenance.GitCommit, commit)
			if err != nil {
				return err
			}
			return in.resolve(provenance.ResourceDescriptor{Name: public(source), URI: uri, Digest: provenance.DigestSet{digest}})
		}
	}
	return in.unresolve(public(source), where, whyModule)
}

// gitModule returns the repository of a module's source, if it is one of git
// ("git::https://…//sub", "github.com/owner/name").
func gitModule(source string) (uri string, ok bool) {
	rest, git := strings.CutPrefix(source, "git::")
	if !git && !strings.HasPrefix(rest, "github.com/") && !strings.HasPrefix(rest, "bitbucket.org/") {
		return "", false
	}
	scheme, address, has := strings.Cut(rest, "://")
	if !has {
		scheme, address = "https", rest
	}
	address, _, _ = strings.Cut(address, "//") // the folder within
	return "git+" + public(scheme+"://"+address), address != ""
}

// lockedProvider is what a lock file says about one provider.
type lockedProvider struct {
	version string
	hashes  []string
}

// readTerraformLock reads a lock file: the little of HCL that Terraform writes
// in one. Nothing else is read, so nothing else can be meant.
func readTerraformLock(r io.Reader) (map[string]lockedProvider, error) {
	data, err := readAll(r, limits.ToolSource)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, malformed("not UTF-8")
	}
	h := hclReader{text: string(data), line: 1}
	all := map[string]lockedProvider{}
	for {
		switch word := h.next(); word {
		case "":
			return all, h.err
		case "provider":
		default:
			return nil, h.fail("want provider, found %s", clip(word))
		}
		address := h.quoted()
		h.want("{")
		var p lockedProvider
		seen := map[string]bool{}
		for h.err == nil {
			field := h.next()
			if field == "}" {
				break
			}
			if seen[field] {
				return nil, h.fail("%s is here twice", clip(field))
			}
			seen[field] = true
			h.want("=")
			switch field {
			case "version":
				p.version = h.quoted()
			case "constraints":
				h.quoted()
			case "hashes":
				h.want("[")
				for h.err == nil {
					s := h.next()
					if s == "]" {
						break
					}
					p.hashes = append(p.hashes, h.unquote(s))
					if s = h.next(); s == "]" {
						break
					} else if s != "," {
						h.fail("want , or ], found %s", clip(s))
					}
				}
			default:
				h.fail("want version, constraints or hashes, found %s", clip(field))
			}
		}
		if h.err != nil {
			return nil, h.err
		}
		if _, dup := all[address]; dup {
			return nil, h.fail("provider %s is here twice", clip(address))
		}
		all[address] = p
	}
}

// hclReader takes a text apart into words, quoted texts and marks.
type hclReader struct {
	text   string
	line   int
	tokens int
	err    error
}

func (h *hclReader) fail(format string, args ...any) error {
	if h.err == nil {
		h.err = wrap(line(h.line), malformed(format, args...))
	}
	return h.err
}

// next returns the next token; "" at the end or after an error. A quoted text keeps its quotes.
func (h *hclReader) next() string {
	for h.err == nil {
		h.text = strings.TrimLeft(h.text, " \t\r")
		switch {
		case h.text == "":
			return ""
		case h.text[0] == '\n':
			h.line++
			h.text = h.text[1:]
			continue
		case h.text[0] == '#', strings.HasPrefix(h.text, "//"):
			if i := strings.IndexByte(h.text, '\n'); i >= 0 {
				h.text = h.text[i:]
			} else {
				h.text = ""
			}
			continue
		}
		if h.tokens++; h.tokens > limits.ToolNodes {
			h.err = fail(provenance.ReasonLimit, "more than %d words", limits.ToolNodes)
			return ""
		}
		n := 1
		switch c := h.text[0]; {
		case c == '"':
			end := strings.IndexAny(h.text[1:], "\"\n")
			if end < 0 || h.text[1+end] == '\n' {
				h.fail("a text that does not end")
				return ""
			}
			n = end + 2
			// Terraform writes no escape and no template here.
			if strings.ContainsAny(h.text[:n], `\$%`) {
				h.fail("a text with an escape or a template: %s", clip(h.text[:n]))
				return ""
			}
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			for n < len(h.text) && ('a' <= h.text[n]|0x20 && h.text[n]|0x20 <= 'z' || h.text[n] == '_') {
				n++
			}
		}
		token := h.text[:n]
		h.text = h.text[n:]
		return token
	}
	return ""
}

func (h *hclReader) want(mark string) {
	if s := h.next(); s != mark {
		h.fail("want %s, found %s", mark, clip(s))
	}
}

func (h *hclReader) quoted() string { return h.unquote(h.next()) }

func (h *hclReader) unquote(s string) string {
	if len(s) < 3 || s[0] != '"' {
		h.fail("want a text in quotes, found %s", clip(s))
		return ""
	}
	return s[1 : len(s)-1]
}
