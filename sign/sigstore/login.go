package sigstore

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/internal/webclient"
)

// loginTime is how long a person may take to log in.
const loginTime = 10 * time.Minute

// Login logs a person in at an OIDC provider.
type Login struct {
	// Issuer is the provider's URL, such as Services.Issuer; needed.
	Issuer string
	// ClientID is what the provider calls this program; empty means
	// "sigstore".
	ClientID string
	// ClientSecret is for providers that give one to programs that cannot keep
	// it; most do not.
	ClientSecret string
	// Client sends the requests; nil means one without proxy.
	Client *http.Client
}

// Browser returns a source that has the person log in with a browser on this
// machine: the authorization code flow with PKCE, the answer to which comes to
// a port on loopback (RFC 8252). open must show the URL to the person, by
// starting a browser or printing it, and return. The login is given up when
// ctx is done or after ten minutes.
func (l Login) Browser(open func(url string) error) TokenSource {
	return TokenFunc(func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, loginTime)
		defer cancel()
		p, err := l.discover(ctx)
		if err != nil {
			return "", err
		}
		defer p.release()
		if p.AuthURL == "" {
			return "", fail(ReasonLogin, "the provider has no authorization endpoint")
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", &Error{Reason: ReasonLogin, Msg: "listen for the browser", Err: err}
		}
		state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
		type answer struct {
			code string
			err  error
		}
		answers := make(chan answer, 1)
		srv := &http.Server{
			ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
			MaxHeaderBytes: 64 << 10,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				// Any page in the browser can send it here; only the provider
				// knows the state.
				if r.Method != "GET" || r.URL.Path != callbackPath || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
					http.NotFound(w, r)
					return
				}
				a := answer{code: q.Get("code")}
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				if e := q.Get("error"); e != "" || a.code == "" {
					a.err = fail(ReasonLogin, "the provider refused: %s", webclient.Excerpt([]byte(e), ""))
					http.Error(w, "Not logged in. You can close this page.", http.StatusForbidden)
				} else {
					w.Write([]byte("Logged in. You can close this page.\n"))
				}
				select {
				case answers <- a:
				default: // the first one counts
				}
			}),
		}
		served := make(chan struct{})
		go func() {
			srv.Serve(listener)
			close(served)
		}()
		defer func() {
			// Let the page reach the browser, but not for long.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			srv.Shutdown(ctx)
			cancel()
			srv.Close()
			<-served
		}()

		config := p.config(l)
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		config.RedirectURL = "http://localhost:" + port + callbackPath
		err = open(config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("nonce", nonce)))
		if err != nil {
			return "", &Error{Reason: ReasonLogin, Msg: "show the login page", Err: err}
		}
		var a answer
		select {
		case a = <-answers:
		case <-ctx.Done():
			return "", &Error{Reason: ReasonLogin, Msg: "nobody logged in", Err: context.Cause(ctx)}
		}
		if a.err != nil {
			return "", a.err
		}
		t, err := config.Exchange(p.with(ctx), a.code, oauth2.VerifierOption(verifier))
		return idToken(t, nonce, err, a.code, verifier, l.ClientSecret)
	})
}

const callbackPath = "/auth/callback"

// Device returns a source that has the person log in on another machine (RFC
// 8628). show must tell them the URL to open and the code to enter there, and
// return. The login is given up when ctx is done, when the code expires, or
// after ten minutes.
func (l Login) Device(show func(url, code string) error) TokenSource {
	return TokenFunc(func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, loginTime)
		defer cancel()
		p, err := l.discover(ctx)
		if err != nil {
			return "", err
		}
		defer p.release()
		if p.DeviceURL == "" {
			return "", fail(ReasonLogin, "the provider has no device authorization endpoint")
		}
		config, verifier := p.config(l), oauth2.GenerateVerifier()
		auth, err := config.DeviceAuth(p.with(ctx), oauth2.S256ChallengeOption(verifier))
		if err != nil {
			return "", loginError(err, verifier, l.ClientSecret)
		}
		page := auth.VerificationURIComplete
		if page == "" {
			page = auth.VerificationURI
		}
		// It is shown to a person, or opened: nothing but a web page.
		if _, err := parseEndpoint("verification URL", page, false); err != nil {
			return "", err
		}
		if err := show(page, webclient.Excerpt([]byte(auth.UserCode), "")); err != nil {
			return "", &Error{Reason: ReasonLogin, Msg: "show the code", Err: err}
		}
		t, err := config.DeviceAccessToken(p.with(ctx), auth, oauth2.VerifierOption(verifier))
		// RFC 8628 knows no nonce; the device code ties the two together.
		return idToken(t, "", err, auth.DeviceCode, verifier, l.ClientSecret)
	})
}

// A provider is what discovery says (OpenID Connect Discovery 1.0, section 3).
type provider struct {
	Issuer    string `json:"issuer"`
	AuthURL   string `json:"authorization_endpoint"`
	TokenURL  string `json:"token_endpoint"`
	DeviceURL string `json:"device_authorization_endpoint"`

	client  *http.Client
	release func()
}

func (l Login) discover(ctx context.Context) (*provider, error) {
	issuer, err := parseEndpoint("OIDC provider", l.Issuer, false)
	if err != nil {
		return nil, err
	}
	p := &provider{}
	p.client, p.release = webclient.New(l.Client)
	p.client.Timeout = limits.HTTPTime // for the requests of package oauth2
	r, err := webclient.Do(ctx, p.client, webclient.Request{Method: "GET", URL: issuer.JoinPath(".well-known/openid-configuration"), Accept: "application/json"})
	err = httpError(err)
	if err == nil {
		if err = strictjson.Into(r.Body, limits.HTTPBody, p); err != nil {
			err = &Error{Reason: ReasonAnswer, Msg: "discovery", Err: err}
		}
	}
	if err == nil && p.Issuer != l.Issuer {
		err = fail(ReasonMismatch, "discovery: want issuer %q, found %.200q", l.Issuer, p.Issuer)
	}
	for _, u := range []string{p.AuthURL, p.TokenURL, p.DeviceURL} {
		if err == nil && u != "" {
			_, err = parseEndpoint("discovery", u, false)
		}
	}
	if err == nil && p.TokenURL == "" {
		err = fail(ReasonAnswer, "discovery: no token endpoint")
	}
	if err != nil {
		p.release()
		return nil, about(webclient.Server(issuer), err)
	}
	return p, nil
}

func (p *provider) config(l Login) *oauth2.Config {
	id := l.ClientID
	if id == "" {
		id = Audience
	}
	return &oauth2.Config{
		ClientID: id, ClientSecret: l.ClientSecret, Scopes: []string{"openid", "email"},
		Endpoint: oauth2.Endpoint{AuthURL: p.AuthURL, TokenURL: p.TokenURL, DeviceAuthURL: p.DeviceURL, AuthStyle: oauth2.AuthStyleInParams},
	}
}

// with makes package oauth2 use the strict client.
func (p *provider) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, p.client)
}

// idToken takes the identity token out of an answer. An empty nonce is not
// compared. The secrets are those of the request.
func idToken(t *oauth2.Token, nonce string, err error, secrets ...string) (string, error) {
	if err != nil {
		return "", loginError(err, secrets...)
	}
	raw, _ := t.Extra("id_token").(string)
	token, err := cleanToken([]byte(raw), "id_token of the provider")
	if err != nil {
		return "", err
	}
	if _, err := challenge(token); err != nil {
		return "", err
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	p := strictjson.NewParser(payload, limits.SigningToken)
	got := ""
	err = p.Object(func(name []byte) error {
		if string(name) == "nonce" {
			return readString(p, &got)
		}
		return p.Skip()
	})
	if err != nil || nonce != "" && got != nonce {
		return "", fail(ReasonLogin, "the identity token is for another login: other nonce")
	}
	return token, nil
}

// loginError keeps the code of a refusal and drops the rest of the answer,
// which can hold a token. What the request held, a server or a transport can
// repeat in its error, whose text is therefore shown without the secrets.
func loginError(err error, secrets ...string) error {
	text := func(s string) string {
		for _, secret := range secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
				s = webclient.Excerpt([]byte(s), form)
			}
		}
		return s
	}
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		e := &Error{Reason: ReasonLogin, Msg: "the provider refused: " + text(webclient.Excerpt([]byte(refused.ErrorCode), ""))}
		if refused.Response != nil {
			e.Status = refused.Response.StatusCode
		}
		return e
	}
	msg := "log in"
	var ue *url.Error // repeats the URL
	if errors.As(err, &ue) {
		msg, err = "ask the provider", ue.Err
	}
	return &Error{Reason: ReasonLogin, Msg: msg, Err: &quietError{text(err.Error()), err}}
}

// A quietError is an error with a text of ours: the cause's may say too much.
type quietError struct {
	text  string
	cause error
}

func (e *quietError) Error() string { return e.text }

// Is keeps errors.Is working, without handing the cause out.
func (e *quietError) Is(target error) bool { return errors.Is(e.cause, target) }
