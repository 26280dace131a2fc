package redact

import (
	"strings"
	"testing"
	"time"
)

// Command lines as people write them. None may show what the word Hunt5 or a
// word that begins with it stands for.
func TestAttack_ArgvLeaks(t *testing.T) {
	for _, argv := range [][]string{
		{"curl", "-u", "bob:Hunt5", "https://x"},
		{"curl", "-ubob:Hunt5er2secret"},
		{"curl", "--user=bob:Hunt5er2"},
		{"curl", "--proxy-user", "bob:Hunt5er2"},
		{"curl", "-U", "bob:Hunt5"},
		{"curl", "-H", "X-Token: Hunt5"},
		{"curl", "-HX-Token: Hunt5"},
		{"curl", "--header=X-Api-Token: Hunt5"},
		{"curl", "-d", `{"user":"bob","password":"Hunt5"}`},
		{"curl", "-d", `{"auth":{"accessToken":"Hunt5er2", "x":1}}`},
		{"sh", "-c", `curl -d "{\"password\":\"Hunt5er2\"}" https://x`},
		{"sh", "-c", `curl -H 'X-My-Token: Hunt5er2' https://x`},
		{"sh", "-c", "mytool --token Hunt5 && true"},
		{"sh", "-c", "mytool --token 'Hunt5 Hunt5' && true"},
		{"sh", "-c", `mytool --password="Hunt5 with Hunt5"`},
		{"sh", "-c", `bash -c "curl -u bob:Hunt5 https://x"`},
		{"go", "build", "-ldflags=-X=main.token=Hunt5"},
		{"go", "build", "-ldflags", "-X main.apiToken=Hunt5 -X main.v=1"},
		{"msbuild", "/p:Password=Hunt5er2"},
		{"tool", "/token:Hunt5er2"},
		{"tool", "--token:Hunt5er2"},
		{"npm", "config", "set", "//registry.npmjs.org/:_authToken=Hunt5er2"},
		{"npm", "config", "set", "//registry.npmjs.org/:_authToken", "Hunt5er2"},
		{"openssl", "pkcs12", "-passin", "pass:Hunt5"},
	} {
		s := New(ArgvSecrets(argv), nil)
		if got := strings.Join(s.Argv(argv), " "); strings.Contains(got, "Hunt5") {
			t.Errorf("%q is shown as %s", argv, got)
		}
	}
	// What is no secret stays: a reader wants to know what was built.
	for _, argv := range [][]string{
		{"docker", "build", "-t", "auth:v1.2.3", "."},
		{"docker", "run", "-u", "1000:1000", "-v", "/run/secrets:/run/secrets:ro", "x"},
		{"python", "-u", "main.py"},
		{"tool", "--max-tokens", "-5"},
		{"tool", `{"maxTokens":4096,"key":"value"}`},
		{"sh", "-c", "deploy --token $TOKEN --verbose"},
	} {
		s := New(ArgvSecrets(argv), nil)
		if got := strings.Join(s.Argv(argv), " "); got != strings.Join(argv, " ") {
			t.Errorf("%q is shown as %s", argv, got)
		}
	}
}

// Text of a build's output.
func TestAttack_JSONMembers(t *testing.T) {
	var s Set
	for _, text := range []string{
		`response: {"access_token":"Hunt5","expires":3600}`,
		`{"auths":{"ghcr.io":{"auth": "Hunt5er2"}}}`,
		`body="{\"client_secret\":\"Hunt5\"}"`,
		`{'password': 'Hunt5'}`,
	} {
		if got := s.String(text); strings.Contains(got, "Hunt5") {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

// A command line that repeats a character a million times costs as much as it is long.
func TestAttack_ArgvCost(t *testing.T) {
	for _, unit := range []string{"=", "a=", ":", "-u", "'", "$(", "\\", "x: ", `"token":"`, "token=", `\"`} {
		arg := strings.Repeat(unit, 1<<20/len(unit))
		done := make(chan bool)
		go func() {
			new(Set).Argv([]string{"x", arg})
			ArgvSecrets([]string{arg})
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%q a million times does not end", unit)
		}
	}
}

// Whoever has one of these URLs can post to the channel; tokens of other issuers.
func TestAttack_MoreShapes(t *testing.T) {
	const x = "Zq3x9Zq3x9Zq3x9Zq3x9Zq3x9Zq3x9Zq3x9Zq3x9"
	var s Set
	for _, text := range []string{
		"curl https://hooks.slack.com/services/T00000000/B00000000/" + x,
		"https://discord.com/api/webhooks/123456789012345678/" + x,
		"https://api.telegram.org/bot123456789:" + x + "/sendMessage",
		"glsa_" + x, "lin_api_" + x, "shpat_" + x, "ATATT3x" + x, "xoxc-" + x, "xoxd-" + x,
	} {
		if got := s.String(text); strings.Contains(got, x) {
			t.Errorf("%s is shown as %s", text, got)
		}
		if got := s.URL(text); strings.Contains(got, x) {
			t.Errorf("URL %s is shown as %s", text, got)
		}
	}
	if got := s.String("https://discord.com/api/webhooks/"); strings.Contains(got, Marker) {
		t.Errorf("shown as %s", got)
	}
}
