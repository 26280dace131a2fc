package sigstore

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/oauth2"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/internal/webclient"
)

// Audience is the audience that Fulcio wants in tokens, unless its operator
// chose another.
const Audience = "sigstore"

// A TokenSource gets an OIDC identity token, a JWT. [NewSession] asks once.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// TokenFunc is a function that is a TokenSource.
type TokenFunc func(ctx context.Context) (string, error)

// Token calls f.
func (f TokenFunc) Token(ctx context.Context) (string, error) { return f(ctx) }

// StaticToken returns a source of one token.
func StaticToken(token string) TokenSource {
	return TokenFunc(func(context.Context) (string, error) { return cleanToken([]byte(token), "token") })
}

// TokenFile returns a source that reads the token from a file each time, as
// SPIFFE, Kubernetes and some CI services put it there and renew it.
func TokenFile(path string) TokenSource {
	return TokenFunc(func(context.Context) (string, error) {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, limits.SigningToken+1))
		if err != nil {
			return "", err
		}
		return cleanToken(b, path)
	})
}

// TokenVariable returns a source that reads the token from an environment
// variable through getenv, such as [os.Getenv]. GitLab puts it into the
// variable that the job's id_tokens section names (SIGSTORE_ID_TOKEN by
// custom), CircleCI into CIRCLE_OIDC_TOKEN_V2.
func TokenVariable(getenv func(string) string, name string) TokenSource {
	return TokenFunc(func(context.Context) (string, error) { return cleanToken([]byte(getenv(name)), "$"+name) })
}

// TokenCommand returns a source that runs a program, without a shell, and
// takes its standard output. On Buildkite that is
//
//	sigstore.TokenCommand("buildkite-agent", "oidc", "request-token", "--audience", sigstore.Audience)
func TokenCommand(name string, args ...string) TokenSource {
	return TokenFunc(func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, limits.HTTPTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.WaitDelay = limits.PipeGrace
		var out bytes.Buffer
		cmd.Stdout = &boundedWriter{&out, limits.SigningToken + 1}
		if err := cmd.Run(); err != nil {
			return "", &Error{Reason: ReasonToken, Msg: "run " + name, Err: err}
		}
		return cleanToken(out.Bytes(), "output of "+name)
	})
}

// boundedWriter takes n bytes and drops the rest.
type boundedWriter struct {
	w io.Writer
	n int
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	k := min(len(p), b.n)
	b.n -= k
	if _, err := b.w.Write(p[:k]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// OAuth2 returns a source that takes the id_token beside the access token of
// an oauth2.TokenSource.
func OAuth2(source oauth2.TokenSource) TokenSource {
	return TokenFunc(func(context.Context) (string, error) {
		t, err := source.Token()
		if err != nil {
			return "", err
		}
		id, _ := t.Extra("id_token").(string)
		return cleanToken([]byte(id), "id_token of the OAuth2 token")
	})
}

// GitHubActions returns a source that asks the token service of GitHub Actions
// for a token for [Audience]. The workflow needs the permission "id-token:
// write"; getenv, such as [os.Getenv], is asked for
// ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN. A nil
// client is one without proxy.
func GitHubActions(getenv func(string) string, client *http.Client) TokenSource {
	return TokenFunc(func(ctx context.Context) (string, error) {
		raw, bearer := getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
		if raw == "" || bearer == "" {
			return "", fail(ReasonToken, "GitHub Actions offers no identity token: not in a workflow, or one without the permission id-token: write")
		}
		u, err := parseEndpoint("ACTIONS_ID_TOKEN_REQUEST_URL", raw, false)
		if err != nil {
			return "", err
		}
		q := u.Query()
		q.Set("audience", Audience)
		u.RawQuery = q.Encode()
		c, release := webclient.New(client)
		defer release()
		r, err := webclient.Do(ctx, c, webclient.Request{Method: "GET", URL: u, Bearer: bearer, Accept: "application/json"})
		if err != nil {
			return "", httpError(err)
		}
		var answer struct {
			Value string `json:"value"`
		}
		if err := strictjson.Into(r.Body, limits.HTTPBody, &answer); err != nil {
			return "", &Error{Reason: ReasonAnswer, Server: webclient.Server(u), Msg: "token", Err: err}
		}
		return cleanToken([]byte(answer.Value), "answer of GitHub Actions")
	})
}

// cleanToken drops white space around a token. What is wrong with it is said
// without showing it.
func cleanToken(b []byte, from string) (string, error) {
	t := string(bytes.TrimSpace(b))
	switch {
	case t == "":
		return "", fail(ReasonToken, "%s: empty", from)
	case len(t) > limits.SigningToken:
		return "", fail(ReasonToken, "%s: longer than %d bytes", from, limits.SigningToken)
	case strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fail(ReasonToken, "%s: not a JWT", from)
	}
	return t, nil
}
