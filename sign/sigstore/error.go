package sigstore

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hallmark-build/hallmark/internal/webclient"
)

// Error says why something was not signed. Failures of files that the caller
// named, and of the caller's own token sources, are passed on as they are,
// wrapped.
type Error struct {
	Reason string // one of the Reason constants
	Server string // scheme and host of the server that it is about, or empty
	Status int    // HTTP status of its answer, or 0
	Msg    string
	Err    error // the cause, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Server != "" {
		b.WriteString(e.Server + ": ")
	}
	b.WriteString(e.Msg)
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Reasons of an [Error]. They are stable.
const (
	ReasonConfig   = "config"               // services that cannot make a bundle that verifies, or a malformed signing configuration
	ReasonSelect   = "service-selection"    // a signing configuration has too few services for the time and for this package
	ReasonToken    = "token"                // no token, or not a JWT with an identity
	ReasonLogin    = "login"                // the browser or device flow failed
	ReasonKey      = "key-unsupported"      // a key that Sigstore, or one of the logs, cannot take
	ReasonInput    = "input"                // what is to be signed cannot be
	ReasonSigner   = "signer-failed"        // the key refused, or made a signature that does not verify
	ReasonHTTP     = webclient.ReasonNone   // no answer: connection, time, or redirect
	ReasonStatus   = webclient.ReasonStatus // an answer with another status than success
	ReasonAnswer   = webclient.ReasonAnswer // an answer that is not what the protocol says
	ReasonConflict = "log-conflict"         // the log has this very entry already and does not hand it out
	ReasonMismatch = "answer-mismatch"      // a well-formed answer about something else, or one that proves nothing
)

func fail(reason, format string, args ...any) error {
	return &Error{Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

// httpError makes an error of package webclient one of this package.
func httpError(err error) error {
	var e *webclient.Error
	if errors.As(err, &e) {
		return &Error{Reason: e.Reason, Server: e.Server, Status: e.Status, Msg: e.Msg, Err: e.Err}
	}
	return err
}

// parseEndpoint checks a server's URL. What is sent there decides whether
// plain HTTP will do.
func parseEndpoint(what, raw string, plainHTTP bool) (*url.URL, error) {
	u, err := webclient.ParseURL(what, raw, plainHTTP)
	if err != nil {
		return nil, fail(ReasonConfig, "%v", err)
	}
	return u, nil
}

// about adds the server to an error of this package that has none.
func about(server string, err error) error {
	if e, ok := err.(*Error); ok && e.Server == "" {
		e.Server = server
	}
	return err
}
