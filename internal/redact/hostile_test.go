package redact

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What a build prints is chosen by whoever wrote the sources. The work must
// grow with its length and not with the square of it.
func TestEdge82_RepeatedBeginnings(t *testing.T) {
	s := New([]string{"hunter2hunter2"}, nil)
	for _, begin := range []string{"?token=", "TOKEN=", "eyJ", "cookie:", "Authorization: ", "://a@", "TOKEN=\"", "-----BEGIN PRIVATE KEY ", "hunter2hunter"} {
		text := bytes.Repeat([]byte(begin), 1<<20/len(begin))
		start := time.Now()
		s.Bytes(text)
		// Quadratic, each took minutes; linear, they take milliseconds.
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("1 MiB of %q took %v", begin, d)
		}
	}
}

// That nothing is looked at twice must not hide what begins inside.
func TestNestedShapes(t *testing.T) {
	for _, text := range []string{
		"?token=a?token=hunter2hunter2 ",
		"?token=a -----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----",
		"TOKEN=-----BEGIN PRIVATE KEY-----\nhunter2hunter2",
		`TOKEN="a TOKEN='b" hunter2hunter2'`,
		"TOKEN=TOKEN=hunter2hunter2",
		"eyJa eyJhbGciOiJIUzI1NiJ9.hunter2hunter2hunter2.hunter2hunter2",
	} {
		if got := (&Set{}).String(text); strings.Contains(got, "hunter2") {
			t.Errorf("%q\nleft %q", text, got)
		}
	}
}

func TestEdge80_LongUserinfo(t *testing.T) {
	pass := strings.Repeat("p4ssw0rd", 1000) // a registry's token has kilobytes
	if got := (&Set{}).String("fetching https://u:" + pass + "@example.com/x"); strings.Contains(got, "p4ssw0rd") {
		t.Errorf("left %d bytes", len(got))
	}
	if got := New(nil, []string{"PROXY=https://u:" + pass + "@h"}).String(pass); strings.Contains(got, "p4ssw0rd") {
		t.Errorf("%d bytes of a password were not known", len(got))
	}
}

func TestEdge80_PasswordOutsideOfAURL(t *testing.T) {
	for _, raw := range []string{"user:hunter2hunter2@example.com:repo", "https:user:hunter2hunter2@example.com/repo", "user:hunter2hunter2@example.com/repo"} {
		if got := (&Set{}).URL(raw); strings.Contains(got, "hunter2") {
			t.Errorf("%q gave %q", raw, got)
		}
	}
}

func TestEdge80_CommandLines(t *testing.T) {
	for _, argv := range [][]string{
		{"sh", "-c", "deploy --token=hunter2hunter2"},
		{"sh", "-c", "set -e; deploy --password 'hunter2hunter2'"},
		{"sh", "-c", "PASSWORD=hunter2hunter2 deploy; echo hunter2hunter2"},
		{"sh", "-c", "password=\"hunter2hunter2\" deploy"},
		{"curl", "-H", "X-Deploy-Token: hunter2hunter2"},
		{"curl", "-H", "Authorization: token hunter2hunter2"},
		{"curl", "--header=Authorization: ApiKey hunter2hunter2"},
		{"curl", "-u", "bob:hunter2hunter2"},
		{"go", "build", "-ldflags=-X=main.token=hunter2hunter2"},
		{"go", "build", "-ldflags", "-s -X main.apiToken=hunter2hunter2"},
		{"sh", "-c", "curl -u bob:hunter2hunter2 https://example.com"},
	} {
		s := New(ArgvSecrets(argv), nil)
		if got := strings.Join(s.Argv(argv), " "); strings.Contains(got, "hunter2") {
			t.Errorf("%q: left %q", argv, got)
		}
	}
	for _, argv := range [][]string{
		{"docker", "run", "-u", "1000:1000000", "image"},
		{"sh", "-c", "deploy --token $DEPLOY_CREDENTIAL --verbose"},
		{"go", "build", "-ldflags", "-s -w", "./..."},
	} {
		s := New(ArgvSecrets(argv), nil)
		if got := strings.Join(s.Argv(argv), " "); got != strings.Join(argv, " ") {
			t.Errorf("%q: changed to %q", argv, got)
		}
	}
}

func TestEdge80_Headers(t *testing.T) {
	for _, text := range []string{
		"> Authorization: token hunter2hunter2\r\n",
		`{"Authorization":"Digest hunter2hunter2"}`,
		"x-api-key: hunter2hunter2",
		"Set-Cookie: session=hunter2hunter2; Secure\n",
	} {
		if got := (&Set{}).String(text); strings.Contains(got, "hunter2") {
			t.Errorf("%q: left %q", text, got)
		}
	}
}
