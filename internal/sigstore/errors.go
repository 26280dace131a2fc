package sigstore

import "fmt"

// An Error says which check a bundle, or a trusted root, did not pass.
type Error struct {
	Reason  string // stable, one of the Reason constants
	Section string // the specification and section that asks for the check
	Msg     string // what was wanted and what was found
	Err     error  // the cause, if another package named it
}

func (e *Error) Error() string {
	s := e.Msg
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s + " (" + e.Section + ")"
}

func (e *Error) Unwrap() error { return e.Err }

// Reasons of an [Error]. Errors of the JSON syntax itself are
// *strictjson.Error.
const (
	ReasonFormat      = "sigstore-format"           // a field is missing, twice in a oneof, or not encoded as it must be
	ReasonMediaType   = "sigstore-media-type"       // an unknown version of bundle or trusted root
	ReasonVersion     = "sigstore-bundle-version"   // content that this version of the bundle does not allow or lacks
	ReasonLimit       = "sigstore-limit"            // more entries, timestamps or bytes than are read
	ReasonRoot        = "sigstore-trusted-root"     // a trusted root that cannot be used
	ReasonOptions     = "sigstore-options"          // the caller asked for something that cannot hold
	ReasonNoTime      = "sigstore-no-trusted-time"  // fewer trusted times than required
	ReasonTimestamp   = "sigstore-timestamp"        // an RFC 3161 timestamp is malformed or wrong
	ReasonTSA         = "sigstore-timestamp-signer" // a timestamp authority's certificate does not do
	ReasonSET         = "sigstore-entry-timestamp"  // a signed entry timestamp does not verify
	ReasonCertificate = "sigstore-certificate"      // the leaf is not a code signing certificate of Fulcio's profile
	ReasonPath        = "sigstore-certificate-path" // no path to a trusted authority
	ReasonValidity    = "sigstore-validity"         // a trusted time outside of a validity
	ReasonSCT         = "sigstore-sct"              // a signed certificate timestamp does not verify, or too few do
	ReasonNoLog       = "sigstore-no-log-entry"     // entries in fewer logs than required
	ReasonCheckpoint  = "sigstore-checkpoint"       // a checkpoint does not verify
	ReasonInclusion   = "sigstore-inclusion"        // an inclusion proof does not verify
	ReasonWitness     = "sigstore-witness"          // fewer witness cosignatures than required
	ReasonEntry       = "sigstore-entry"            // a log entry's body is malformed or of an unknown kind
	ReasonEntryOther  = "sigstore-entry-mismatch"   // a log entry is about another signature, key or artifact
	ReasonDuplicate   = "sigstore-duplicate"        // one log entry or timestamp twice
	ReasonKey         = "sigstore-key"              // no key, another key, or one that must not be used
	ReasonSignature   = "sigstore-signature"        // the signature does not verify
	ReasonArtifact    = "sigstore-artifact"         // no artifact was given, or it is another one
	ReasonEnvelope    = "sigstore-envelope"         // a DSSE envelope that a bundle must not carry
)

// Sections that several checks cite.
const (
	specBundle   = "client-spec 5"
	specTime     = "client-spec 4.2"
	specTSA      = "client-spec 4.2.1"
	specSET      = "client-spec 4.2.2"
	specCert     = "client-spec 4.3"
	specEntry    = "client-spec 4.4"
	specSig      = "client-spec 4.5"
	specCounting = "client-spec 4.6"
	specRoot     = "protobuf-specs sigstore_trustroot.proto"
	specProto    = "protobuf-specs sigstore_bundle.proto"
	spec3161     = "RFC 3161 2.4.2"
	spec5280     = "RFC 5280 6.1"
	spec6962     = "RFC 6962 3.2"
	specNote     = "C2SP tlog-checkpoint"
	specRekor2   = "rekor-v2-spec"
)

func failf(reason, section, format string, args ...any) *Error {
	return &Error{Reason: reason, Section: section, Msg: fmt.Sprintf(format, args...)}
}

func wrapf(err error, reason, section, format string, args ...any) *Error {
	return &Error{Reason: reason, Section: section, Msg: fmt.Sprintf(format, args...), Err: err}
}
