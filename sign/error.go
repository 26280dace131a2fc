package sign

import (
	"errors"
	"fmt"

	"github.com/hallmark-build/hallmark/internal/keyfile"
)

// Error says why something was not signed, or a key not read or written.
// Failures of the file system are not of this type.
type Error struct {
	Reason string // one of the Reason constants
	Msg    string
	Err    error // what a signer or a passphrase callback returned, or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Reasons of an [Error]. They are stable.
const (
	ReasonNoSigner        = "no-signer"         // nobody to sign
	ReasonDuplicateSigner = "duplicate-signer"  // two signers with one key, or a key that has signed already
	ReasonSigner          = "signer-failed"     // a signer returned an error
	ReasonSignature       = "signature-invalid" // a signer returned a signature that its public key does not verify
	ReasonPayload         = "payload-malformed" // what is to be signed is not what its type says, or too large
	ReasonEnvelope        = "envelope-malformed"
	ReasonBundle          = "bundle-malformed" // what is to be a line of a bundle is not one

	ReasonKey             = keyfile.ReasonMalformed       // not a key file, or more than one key
	ReasonKeyUnsupported  = keyfile.ReasonUnsupported     // a kind, size, curve, scheme or encryption that is not supported
	ReasonKeyLimit        = keyfile.ReasonLimit           // a key file that costs too much to read
	ReasonKeyPermissions  = "key-permissions"             // others may write the file of a private key
	ReasonPassphrase      = keyfile.ReasonPassphrase      // the passphrase does not open the key
	ReasonNeedsPassphrase = keyfile.ReasonNeedsPassphrase // the key is encrypted and there is no passphrase
)

func fail(reason, format string, args ...any) error {
	return &Error{Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

// keyError turns an error of package keyfile into one of this package.
func keyError(err error) error {
	var e *keyfile.Error
	if errors.As(err, &e) {
		return &Error{e.Reason, e.Msg, e.Err}
	}
	return err
}
