package redact

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
)

// A shape is a token that can be told by its beginning.
type shape struct {
	prefix string
	min    int               // characters after the prefix, at least
	in     func(c byte) bool // which characters those are
}

// tokenShapes are the documented formats of issuers whose tokens are often found in build
// logs. A prefix must be long or odd enough not to occur by chance.
var tokenShapes = byFirst([]shape{
	{"ghp_", 20, isWord}, {"gho_", 20, isWord}, {"ghu_", 20, isWord}, {"ghs_", 20, isWord}, {"ghr_", 20, isWord}, // GitHub
	{"github_pat_", 20, isWord},
	{"glpat-", 16, isURLSafe}, {"gldt-", 16, isURLSafe}, {"glcbt-", 16, isURLSafe}, {"glrt-", 16, isURLSafe}, // GitLab
	{"glptt-", 16, isURLSafe}, {"gloas-", 16, isURLSafe}, {"glsoat-", 16, isURLSafe},
	{"AKIA", 16, isUpper}, {"ASIA", 16, isUpper}, // AWS
	{"xoxa-", 10, isURLSafe}, {"xoxb-", 10, isURLSafe}, {"xoxp-", 10, isURLSafe}, {"xoxr-", 10, isURLSafe}, // Slack
	{"xoxc-", 10, isURLSafe}, {"xoxd-", 10, isURLSafe}, {"xoxs-", 10, isURLSafe}, {"xoxe-", 10, isURLSafe}, {"xapp-", 10, isURLSafe},
	{"npm_", 30, isWord}, {"pypi-", 50, isURLSafe}, {"rubygems_", 40, isWord}, // package registries
	{"dckr_pat_", 20, isURLSafe}, {"hf_", 30, isWord},
	{"AIza", 35, isURLSafe}, {"ya29.", 20, isURLSafe}, // Google
	{"sk_live_", 16, isWord}, {"rk_live_", 16, isWord}, {"sk-ant-", 20, isURLSafe}, {"sk-proj-", 20, isURLSafe},
	{"SG.", 40, func(c byte) bool { return isURLSafe(c) || c == '.' }}, // SendGrid
	{"hvs.", 20, isURLSafe}, {"hvb.", 20, isURLSafe}, // Vault
	{"dop_v1_", 40, isWord}, {"bkua_", 20, isWord}, {"AGE-SECRET-KEY-1", 40, isUpper},
	{"glsa_", 20, isWord}, {"lin_api_", 20, isWord}, {"shpat_", 20, isWord}, {"ATATT3x", 20, func(c byte) bool { return isURLSafe(c) || c == '=' }},
	// URLs whose path is the secret.
	{"hooks.slack.com/services/", 20, isPathWord}, {"discord.com/api/webhooks/", 20, isPathWord}, {"discordapp.com/api/webhooks/", 20, isPathWord},
	{"api.telegram.org/bot", 20, func(c byte) bool { return isURLSafe(c) || c == ':' }},
	{"eyJ", 20, func(c byte) bool { return isURLSafe(c) || c == '.' || c == '=' }}, // JSON Web Token
})

func byFirst(list []shape) (table [256][]shape) {
	for _, s := range list {
		table[s.prefix[0]] = append(table[s.prefix[0]], s)
	}
	return table
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' }

func isWord(c byte) bool { return isUpper(c) || 'a' <= c && c <= 'z' || c == '_' }

func isPathWord(c byte) bool { return isURLSafe(c) || c == '/' }

func isURLSafe(c byte) bool { return isWord(c) || c == '-' }

var (
	pemBegin = []byte("-----BEGIN ")
	pemEnd   = regexp.MustCompile(`-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----`)
)

// shapes appends the spans of what looks like a secret.
func shapes(text []byte, spans []span) []span {
	// A text that repeats the beginning of a secret a million times would have
	// the rest of it looked at as often. So these are the ends of what has been
	// looked at: what begins before ends there too.
	var query, assigned, header, noJWT int
	for i := 0; i < len(text); i++ {
		c := text[i]
		for _, s := range tokenShapes[c] {
			if !hasPrefix(text[i:], s.prefix) || s.prefix == "eyJ" && i < noJWT {
				continue
			}
			end := i + len(s.prefix)
			for end < len(text) && s.in(text[end]) {
				end++
			}
			if s.prefix == "eyJ" && bytes.Count(text[i:end], []byte(".")) < 2 {
				noJWT = end
				continue
			}
			if end-i-len(s.prefix) < s.min {
				continue
			}
			spans = append(spans, span{i, end})
			i = end - 1
			break
		}
		switch c {
		case ':':
			if hasPrefix(text[i:], "://") {
				if at := userinfo(text[i+3:]); at > 0 {
					info := text[i+3 : i+3+at]
					web := i >= 4 && (hasSuffixFold(text[:i], "http") || hasSuffixFold(text[:i], "https"))
					if web || bytes.IndexByte(info, ':') >= 0 {
						spans = append(spans, span{i + 3, i + 3 + at})
					}
				}
			} else if i >= header {
				if sp, ok := headerValue(text, i); ok {
					spans = append(spans, sp)
					header = sp.to
				}
			}
		case '?', '&':
			if i < query {
				break
			}
			if sp, ok := queryValue(text, i+1); ok {
				spans = append(spans, sp)
				query = sp.to
			}
		case '=':
			if i < assigned {
				break
			}
			if sp, quoted, ok := assignment(text, i); ok {
				spans = append(spans, sp)
				if !quoted { // in quotes something else may begin that ends later
					assigned = sp.to
				}
			}
		case '-':
			if bytes.HasPrefix(text[i:], pemBegin) {
				if sp, ok := privateKey(text, i); ok {
					spans = append(spans, sp)
					i = sp.to - 1
				}
			}
		case 'b', 'B':
			for _, scheme := range [...]string{"bearer ", "basic "} {
				if len(text)-i > len(scheme) && strings.EqualFold(string(text[i:i+len(scheme)]), scheme) {
					from := i + len(scheme)
					to := from
					for to < len(text) && (isBase64(text[to]) || strings.IndexByte("=.~", text[to]) >= 0) {
						to++
					}
					if to-from >= 16 {
						spans = append(spans, span{from, to})
					}
				}
			}
		}
	}
	return spans
}

func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }

func hasSuffixFold(b []byte, p string) bool {
	return len(b) >= len(p) && strings.EqualFold(string(b[len(b)-len(p):]), p)
}

// userinfo returns the length of the userinfo at the start of an authority (RFC
// 3986 section 3.2), or 0.
func userinfo(b []byte) int {
	// Not bounded, since tokens of several kilobytes are in use; the next "://"
	// ends it.
	end := bytes.IndexAny(b, "/?# \t\r\n\"'<>`")
	if end < 0 {
		end = len(b)
	}
	return max(0, bytes.LastIndexByte(b[:end], '@'))
}

// queryValue returns the span of the value of the query parameter that starts
// at i, if its name says that it is secret.
func queryValue(text []byte, i int) (span, bool) {
	const maxName = 64
	eq := bytes.IndexByte(text[i:min(len(text), i+maxName)], '=')
	if eq <= 0 {
		return span{}, false
	}
	name := string(text[i : i+eq])
	for j := range len(name) {
		if !isURLSafe(name[j]) && name[j] != '.' {
			return span{}, false
		}
	}
	if !SecretName(name) && !signatureNames[strings.ToLower(name)] {
		return span{}, false
	}
	from := i + eq + 1
	to := from
	for to < len(text) && strings.IndexByte("&;# \t\r\n\"'<>`", text[to]) < 0 {
		to++
	}
	return span{from, to}, to > from
}

// assignment returns the span of the value that the = at i gives to an
// environment variable with a secret name, as in a shell command or the output
// of env. Only names in capitals are variables; "key=" in a text means anything.
func assignment(text []byte, i int) (sp span, quoted, ok bool) {
	const maxName = 64
	from := i
	for from > 0 && i-from < maxName && (isUpper(text[from-1]) || text[from-1] == '_') {
		from--
	}
	if from == i || !SecretName(string(text[from:i])) {
		return span{}, false, false
	}
	stop := " \t\r\n;&|\"'`"
	to := i + 1
	if to < len(text) && (text[to] == '"' || text[to] == '\'') {
		stop = string(text[to]) + "\n"
		quoted = true
		to++
	}
	start := to
	for to < len(text) && strings.IndexByte(stop, text[to]) < 0 {
		to++
	}
	return span{start, to}, quoted, to > start
}

// headerNames are the HTTP headers that hold nothing but credentials.
var headerNames = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "set-cookie": true,
	"x-api-key": true, "x-auth-token": true, "x-access-token": true, "x-vault-token": true,
	"x-amz-security-token": true, "private-token": true, "job-token": true,
}

// memberNames are the names in JSON whose values are secret, besides those that
// say so in any case.
var memberNames = map[string]bool{"auth": true, "pass": true, "pwd": true}

// headerValue returns the span of the value of the HTTP header whose name ends
// at the colon at i, as on a line of its own or in JSON, or of the member of a
// JSON object with a secret name. The scheme of an
// authorization ("token", "Digest") is not part of it.
func headerValue(text []byte, i int) (span, bool) {
	const maxName = 32
	end := i
	if end > 0 && (text[end-1] == '"' || text[end-1] == '\'') {
		end--
		if end > 0 && text[end-1] == '\\' { // JSON in a string
			end--
		}
	}
	from := end
	for from > 0 && end-from < maxName && isURLSafe(text[from-1]) {
		from--
	}
	name := strings.ToLower(string(text[from:end]))
	start := i + 1
	for start < len(text) && strings.IndexByte(" \"'\\", text[start]) >= 0 {
		start++
	}
	if !headerNames[name] {
		// A member of an object in JSON, whose value is a string.
		quoted := end < i && from > 0 && text[from-1] == text[i-1] && text[start-1] == text[i-1]
		if !quoted || !secretPart(name) && !memberNames[name] {
			return span{}, false
		}
	}
	to := start
	for to < len(text) && strings.IndexByte("\r\n\"'", text[to]) < 0 {
		to++
	}
	if scheme := bytes.IndexByte(text[start:to], ' '); strings.HasSuffix(name, "authorization") && 0 < scheme && scheme < maxName {
		start += scheme + 1
	}
	return span{start, to}, to > start
}

// signatureNames are the query parameters of signed URLs: whoever has one can
// use the URL.
var signatureNames = map[string]bool{
	"sig": true, "signature": true, "x-amz-signature": true, "x-goog-signature": true,
}

// privateKey returns the span of a PEM or OpenPGP private key block that starts
// at i; one without an end reaches to the end of the text.
func privateKey(text []byte, i int) (span, bool) {
	const maxLabel = 80
	line := text[i:min(len(text), i+maxLabel)]
	label := bytes.Index(line, []byte("PRIVATE KEY"))
	if nl := bytes.IndexByte(line, '\n'); label < 0 || nl >= 0 && nl < label {
		return span{}, false
	}
	if end := pemEnd.FindIndex(text[i:]); end != nil {
		return span{i, i + end[1]}, true
	}
	return span{i, len(text)}, true
}

// SecretName reports whether the name of a variable, a flag or a query
// parameter says that its value is secret.
func SecretName(name string) bool {
	if secretPart(name) {
		return true
	}
	upper := strings.ToUpper(name)
	if upper == "PWD" || upper == "OLDPWD" || upper == "SSH_AUTH_SOCK" {
		return false
	}
	for word := range strings.FieldsFuncSeq(upper, func(r rune) bool { return r == '_' || r == '-' || r == '.' }) {
		switch word {
		case "KEY", "KEYS", "PASS", "PWD", "PAT", "AUTH", "COOKIE", "JWT", "DSN", "PIN", "OTP":
			return true
		}
	}
	return false
}

// secretPart reports whether a name has a part that can hardly mean anything but a secret.
func secretPart(name string) bool {
	upper := strings.ToUpper(name)
	for _, part := range [...]string{"TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "PASSCODE", "CREDENTIAL", "APIKEY", "PRIVATEKEY", "ACCESSKEY"} {
		if strings.Contains(upper, part) {
			return true
		}
	}
	return false
}

// pathVariable reports whether a variable such as TOKEN_FILE holds the place of
// a secret and not the secret. Paths are everywhere in a build's output.
func pathVariable(name, value string) bool {
	upper := strings.ToUpper(name)
	for _, suffix := range [...]string{"_FILE", "_PATH", "_DIR", "_SOCK", "_HOME"} {
		if strings.HasSuffix(upper, suffix) {
			return strings.HasPrefix(value, "/") || strings.HasPrefix(value, ".") || strings.HasPrefix(value, "~") ||
				len(value) > 2 && value[1] == ':'
		}
	}
	return false
}

// passwords returns the passwords, and the tokens used as user names, of the
// URLs in a variable's value: DATABASE_URL and GOPROXY hold such.
func passwords(v string) []string {
	var out []string
	for rest := v; ; {
		i := strings.Index(rest, "://")
		if i < 0 {
			return out
		}
		web := strings.HasSuffix(strings.ToLower(rest[:i]), "http") || strings.HasSuffix(strings.ToLower(rest[:i]), "https")
		rest = rest[i+3:]
		at := userinfo([]byte(rest))
		user, pass, two := strings.Cut(rest[:at], ":")
		if two {
			user = pass
		} else if !web {
			continue
		}
		out = append(out, user)
		if plain, err := url.PathUnescape(user); err == nil && plain != user {
			out = append(out, plain)
		}
	}
}

// ArgvSecrets returns the values that a command line gives to flags, variables,
// headers and settings whose names are secret: --token=V, --token V, TOKEN=V,
// "X-Token: V", /p:Password=V, //registry/:_authToken=V; the password of
// -u USER:PASSWORD and pass:PASSWORD; and all of these in an argument that is a
// command line itself, as sh -c has it.
func ArgvSecrets(argv []string) []string {
	var out []string
	argvSecrets(argv, 0, func(_ int, v string) { out = append(out, v) })
	return out
}

// Flags returns a text that is a part of a command line, as the variable GOFLAGS
// is, without what it says itself is secret.
func Flags(text string) string {
	argv := []string{text}
	return New(ArgvSecrets(argv), nil).Argv(argv)[0]
}

// Argv returns argv without secrets: those that s finds, and those that the
// command line itself says are secret, however short.
func (s *Set) Argv(argv []string) []string {
	given := make([][]string, len(argv))
	argvSecrets(argv, 0, func(i int, v string) { given[i] = append(given[i], v) })
	out := make([]string, len(argv))
	for i, arg := range argv {
		var spans []span
		for _, v := range given[i] {
			spans = whole([]byte(arg), v, spans)
		}
		out[i] = string(replace([]byte(arg), s.find([]byte(arg), spans)))
	}
	return out
}

// whole appends the spans of v in text where it is no part of a longer word.
func whole(text []byte, v string, spans []span) []span {
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(v))
		if i < 0 {
			return spans
		}
		i += from
		from = i + len(v)
		if (i == 0 || !isWord(text[i-1]) || !isWord(v[0])) && (from == len(text) || !isWord(text[from]) || !isWord(v[len(v)-1])) {
			spans = append(spans, span{i, from})
		}
	}
}

// maxShells is how deep command lines in arguments of command lines are read.
const maxShells = 3

// argvSecrets calls yield with each secret value and the argument that it is in.
func argvSecrets(argv []string, depth int, yield func(i int, v string)) {
	give := func(i int, v string) {
		// In a shell's command line, what a variable holds is somewhere else.
		if v != "" && (depth == 0 || !strings.HasPrefix(v, "$")) {
			yield(i, v)
		}
	}
	for i, arg := range argv {
		next := "" // what may be the value of the flag that arg is
		if i+1 < len(argv) {
			next = argv[i+1]
		}
		switch flag := strings.TrimLeft(arg, "-"); {
		case arg == "-u" || arg == "-U" || arg == "--user" || arg == "--proxy-user":
			give(i+1, password(next))
		case strings.HasPrefix(arg, "-u") && password(arg) != "" && !strings.ContainsAny(arg, "=/ "):
			give(i, password(arg))
		case flag != arg && secretFlag(flag) && !strings.HasPrefix(next, "-"),
			strings.HasPrefix(arg, "//") && strings.Contains(arg, ":_") && secretFlag(arg): // npm config set
			give(i+1, next)
		}
		if pass, ok := strings.CutPrefix(arg, "pass:"); ok { // as openssl has it
			give(i, pass)
		}
		// The last of -ldflags=-X=main.token=V is the value.
		for rest := arg; ; {
			give(i, headerArgument(rest))
			name, value, ok := strings.Cut(rest, "=")
			if !ok {
				break
			}
			if secretFlag(name) {
				give(i, value)
				break
			}
			if name == "--user" || name == "--proxy-user" {
				give(i, password(value))
			}
			rest = value
		}
		if depth < maxShells {
			if words := shellWords(arg); len(words) > 1 {
				argvSecrets(words, depth+1, func(_ int, v string) { yield(i, v) })
			}
		}
	}
}

// secretFlag reports whether the last part of the name of a flag, of a
// property or of a setting is secret: of --token, /p:Password and
// //registry.npmjs.org/:_authToken.
func secretFlag(name string) bool {
	name = name[strings.LastIndexAny(name, "/:")+1:]
	return SecretName(strings.TrimLeft(name, "-")) && !strings.ContainsAny(name, " \t\n")
}

// password returns the password of USER:PASSWORD. What has only digits is a
// group, as of docker run --user 1000:1000.
func password(s string) string {
	if _, pass, ok := strings.Cut(s, ":"); ok && strings.Trim(pass, "0123456789") != "" {
		return pass
	}
	return ""
}

// headerArgument returns the value of "Name: value", and of a flag that ends in
// a colon, -token:value, if the name is secret.
func headerArgument(s string) string {
	const maxName = 64
	colon := strings.IndexByte(s[:min(len(s), maxName)], ':')
	if colon <= 0 || strings.ContainsAny(s[:colon], " \t\n") || !secretFlag(s[:colon]) {
		return ""
	}
	name, value := s[:colon], s[colon+1:]
	if trimmed := strings.TrimLeft(value, " "); trimmed != value {
		return trimmed
	}
	if name[0] == '-' || name[0] == '/' && strings.Count(name, "/") == 1 {
		return value
	}
	return ""
}

// shellWords splits a text as a shell does: at white space and operators, but
// not in quotes, which it takes away. What is in "$(…)" it takes for words too.
func shellWords(s string) (words []string) {
	if !strings.ContainsAny(s, " \t\r\n;&|()") {
		return nil
	}
	var word []byte
	quote, in := byte(0), false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			word, in = append(word, s[i]), true
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word = append(word, c)
			}
		case c == '"' || c == '\'' || c == '`':
			quote, in = c, true
		case strings.IndexByte(" \t\r\n;&|()", c) >= 0:
			if in {
				words = append(words, string(word))
			}
			word, in = nil, false
		default:
			word, in = append(word, c), true
		}
	}
	if in {
		words = append(words, string(word))
	}
	return words
}

// URL returns raw without userinfo, fragment and secret query parameters. The
// user "git", which is no secret, stays. What cannot be parsed is redacted as
// text; "" is returned for what has no host, such as the path of a local
// repository, which would tell about this machine.
func (s *Set) URL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Host == "" {
		// scp-like: [user@]host:path
		host, path, ok := strings.Cut(raw, ":")
		// An @ after the colon is of user:password@host, however it came here.
		if !ok || len(host) < 2 || strings.ContainsAny(host, `/\`) || strings.HasPrefix(path, "//") || strings.Contains(path, "@") {
			return ""
		}
		if user, h, has := strings.Cut(host, "@"); has && user != "git" {
			host = h
		}
		return s.String(host + ":" + path)
	}
	if u.User != nil {
		_, has := u.User.Password()
		if u.User.Username() == "git" && !has {
			u.User = url.User("git")
		} else {
			u.User = nil
		}
	}
	u.Fragment, u.RawFragment = "", ""
	return s.String(u.String())
}
