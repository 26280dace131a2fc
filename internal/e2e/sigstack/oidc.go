package sigstack

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An IssuerKind says what shape an issuer's tokens have, in Fulcio's words.
// Fulcio ties one shape to one issuer URL, so each kind is an issuer.
type IssuerKind string

// The kinds of issuers.
const (
	Email     IssuerKind = "email"
	GitHub    IssuerKind = "github-workflow"
	GitLab    IssuerKind = "gitlab-pipeline"
	Buildkite IssuerKind = "buildkite-job"
)

var kinds = []IssuerKind{Email, GitHub, GitLab, Buildkite}

// An Issuer is an OIDC provider that gives a token to whoever asks. It serves
// discovery, keys, the authorization code flow with PKCE, the device flow, the
// token request of GitHub Actions, and for people GET …/mint?claim=value.
type Issuer struct {
	user string
	key  *ecdsa.PrivateKey
	mux  *http.ServeMux

	mu      sync.Mutex
	base    string
	codes   map[string]url.Values // authorization code to its request
	devices map[string]*device    // device code
}

type device struct {
	userCode string
	approved bool
	kind     IssuerKind
	nonce    string
}

// ActionsToken is the bearer token that the issuer's stand-in for the token
// service of GitHub Actions wants.
const ActionsToken = "actions-request-token"

// Audience is the audience of the tokens that Fulcio takes.
const Audience = "sigstore"

func newIssuer(user string) (*Issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if user == "" {
		user = "dev@example.com"
	}
	is := &Issuer{user: user, key: key, mux: http.NewServeMux(), codes: map[string]url.Values{}, devices: map[string]*device{}}
	for _, kind := range kinds {
		p := "/" + string(kind)
		is.mux.HandleFunc("GET "+p+"/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) { is.discovery(w, kind) })
		is.mux.HandleFunc("GET "+p+"/keys", is.keys)
		is.mux.HandleFunc("GET "+p+"/auth", is.authorize)
		is.mux.HandleFunc("POST "+p+"/token", func(w http.ResponseWriter, r *http.Request) { is.token(w, r, kind) })
		is.mux.HandleFunc("POST "+p+"/device", func(w http.ResponseWriter, r *http.Request) { is.startDevice(w, r, kind) })
		is.mux.HandleFunc("GET "+p+"/activate", is.activate)
		is.mux.HandleFunc("GET "+p+"/mint", func(w http.ResponseWriter, r *http.Request) { is.mint(w, r, kind) })
		is.mux.HandleFunc("GET "+p+"/request", func(w http.ResponseWriter, r *http.Request) { is.actions(w, r, kind) })
	}
	return is, nil
}

func (is *Issuer) setURL(base string) {
	is.mu.Lock()
	is.base = base
	is.mu.Unlock()
}

// URL returns the issuer URL of a kind.
func (is *Issuer) URL(kind IssuerKind) string {
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.base + "/" + string(kind)
}

// ServeHTTP serves the issuers of all kinds.
func (is *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { is.mux.ServeHTTP(w, r) }

// fulcioConfig returns the configuration that makes Fulcio accept the issuers.
func (is *Issuer) fulcioConfig() []byte {
	var b strings.Builder
	b.WriteString("oidc-issuers:\n")
	for _, kind := range kinds {
		fmt.Fprintf(&b, "  %[1]s:\n    issuer-url: %[1]s\n    client-id: %[2]s\n    type: %[3]s\n", is.URL(kind), Audience, kind)
	}
	return []byte(b.String())
}

// Token returns a token of the issuer of a kind with claims over the
// defaults (iss, aud, iat, nbf, and exp in ten minutes). A nil value takes a
// default away. It panics when the claims are not JSON.
func (is *Issuer) Token(kind IssuerKind, claims map[string]any) string {
	now := time.Now().Unix()
	all := map[string]any{"iss": is.URL(kind), "aud": Audience, "iat": now, "nbf": now, "exp": now + 600}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"ES256","kid":"k1","typ":"JWT"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, is.key, digest[:])
	if err != nil {
		panic(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + encode(sig)
}

// EmailToken returns a token for a person with a verified e-mail address.
func (s *Stack) EmailToken(email string) string {
	return s.Issuer.Token(Email, map[string]any{"sub": email, "email": email, "email_verified": true})
}

// A GitHubJob is a run of a GitHub Actions job. Empty fields get values that
// fit the others.
type GitHubJob struct {
	Repository string // "acme/app"
	Workflow   string // path, ".github/workflows/release.yml"
	Ref        string // "refs/heads/main"
	SHA        string // the commit
	Event      string // "push"
	RunID      string
	Runner     string // "github-hosted"
	// Signer is the reusable workflow that runs the job
	// ("org/repo/.github/workflows/x.yml@refs/tags/v1"); empty means the
	// workflow itself.
	Signer string
}

// GitHubToken returns a token with all claims that GitHub Actions sends.
func (s *Stack) GitHubToken(job GitHubJob) string {
	return s.Issuer.Token(GitHub, githubClaims(job))
}

func githubClaims(job GitHubJob) map[string]any {
	set(&job.Repository, "acme/app")
	set(&job.Workflow, ".github/workflows/release.yml")
	set(&job.Ref, "refs/heads/main")
	set(&job.SHA, "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00")
	set(&job.Event, "push")
	set(&job.RunID, "42")
	set(&job.Runner, "github-hosted")
	workflow := job.Repository + "/" + job.Workflow + "@" + job.Ref
	set(&job.Signer, workflow)
	owner, _, _ := strings.Cut(job.Repository, "/")
	return map[string]any{
		"sub":              "repo:" + job.Repository + ":ref:" + job.Ref,
		"job_workflow_ref": job.Signer, "job_workflow_sha": job.SHA,
		"workflow_ref": workflow, "workflow_sha": job.SHA, "workflow": "release",
		"repository": job.Repository, "repository_id": "1001", "repository_visibility": "public",
		"repository_owner": owner, "repository_owner_id": "2002",
		"ref": job.Ref, "ref_type": "branch", "sha": job.SHA, "event_name": job.Event,
		"run_id": job.RunID, "run_number": "7", "run_attempt": "1",
		"runner_environment": job.Runner, "actor": "dev", "actor_id": "3003",
	}
}

// GitLabToken returns a token of a GitLab pipeline on branch main.
func (s *Stack) GitLabToken(project string) string {
	return s.Issuer.Token(GitLab, gitlabClaims(project))
}

func gitlabClaims(project string) map[string]any {
	namespace, _, _ := strings.Cut(project, "/")
	return map[string]any{
		"sub":          "project_path:" + project + ":ref_type:branch:ref:main",
		"project_path": project, "project_id": "11", "project_visibility": "public",
		"namespace_path": namespace, "namespace_id": "12",
		"pipeline_source": "push", "pipeline_id": "13", "job_id": "14",
		"ci_config_ref_uri": "gitlab.com/" + project + "//.gitlab-ci.yml@refs/heads/main",
		"ci_config_sha":     "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00",
		"ref":               "main", "ref_type": "branch", "sha": "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00",
		"runner_environment": "gitlab-hosted", "runner_id": 15,
	}
}

// BuildkiteToken returns a token of a Buildkite job.
func (s *Stack) BuildkiteToken(organization, pipeline string) string {
	return s.Issuer.Token(Buildkite, buildkiteClaims(organization, pipeline))
}

func buildkiteClaims(organization, pipeline string) map[string]any {
	return map[string]any{
		"sub":               "organization:" + organization + ":pipeline:" + pipeline + ":ref:refs/heads/main:commit:c0ffee:step:",
		"organization_slug": organization, "pipeline_slug": pipeline,
		"build_number": 1, "build_branch": "main", "job_id": "j1", "agent_id": "a1",
	}
}

func set(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

func formatVersion(v int64) string { return strconv.FormatInt(v, 10) }

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (is *Issuer) discovery(w http.ResponseWriter, kind IssuerKind) {
	u := is.URL(kind)
	writeJSON(w, 200, map[string]any{
		"issuer": u, "jwks_uri": u + "/keys", "authorization_endpoint": u + "/auth",
		"token_endpoint": u + "/token", "device_authorization_endpoint": u + "/device",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"code_challenge_methods_supported":      []string{"S256"},
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (is *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	pub, err := is.key.PublicKey.Bytes() // 0x04 ‖ X ‖ Y
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	encode := base64.RawURLEncoding.EncodeToString
	writeJSON(w, 200, map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
		"x": encode(pub[1:33]), "y": encode(pub[33:]),
	}}})
}

// authorize logs in whoever comes: the user of the options, or the login hint.
func (is *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || to.Hostname() != "127.0.0.1" && to.Hostname() != "localhost" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "want a loopback redirect_uri and PKCE with S256", 400)
		return
	}
	code := rand.Text()
	is.mu.Lock()
	is.codes[code] = q
	is.mu.Unlock()
	to.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

func (is *Issuer) startDevice(w http.ResponseWriter, r *http.Request, kind IssuerKind) {
	code, d := rand.Text(), &device{userCode: rand.Text()[:8], kind: kind, nonce: r.FormValue("nonce")}
	is.mu.Lock()
	is.devices[code] = d
	is.mu.Unlock()
	page := is.URL(kind) + "/activate"
	writeJSON(w, 200, map[string]any{
		"device_code": code, "user_code": d.userCode, "verification_uri": page,
		"verification_uri_complete": page + "?user_code=" + d.userCode, "expires_in": 300, "interval": 1,
	})
}

func (is *Issuer) activate(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	defer is.mu.Unlock()
	for _, d := range is.devices {
		if d.userCode == r.FormValue("user_code") {
			d.approved = true
			fmt.Fprintln(w, "logged in; go back to the program that sent you")
			return
		}
	}
	http.Error(w, "unknown user_code", 404)
}

func (is *Issuer) token(w http.ResponseWriter, r *http.Request, kind IssuerKind) {
	refuse := func(code string) { writeJSON(w, 400, map[string]string{"error": code}) }
	email, nonce := is.user, ""
	switch r.FormValue("grant_type") {
	case "authorization_code":
		is.mu.Lock()
		q, ok := is.codes[r.FormValue("code")]
		delete(is.codes, r.FormValue("code"))
		is.mu.Unlock()
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if !ok || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || q.Get("redirect_uri") != r.FormValue("redirect_uri") {
			refuse("invalid_grant")
			return
		}
		nonce = q.Get("nonce")
		if hint := q.Get("login_hint"); hint != "" {
			email = hint
		}
	case "urn:ietf:params:oauth:grant-type:device_code":
		is.mu.Lock()
		d := is.devices[r.FormValue("device_code")]
		approved := d != nil && d.approved
		if approved {
			nonce = d.nonce
			delete(is.devices, r.FormValue("device_code"))
		}
		is.mu.Unlock()
		if !approved {
			refuse("authorization_pending")
			return
		}
	default:
		refuse("unsupported_grant_type")
		return
	}
	claims := map[string]any{"sub": email, "email": email, "email_verified": true}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	writeJSON(w, 200, map[string]any{
		"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 600, "id_token": is.Token(kind, claims),
	})
}

// mint gives a token with the claims of the query over those of the kind;
// "true" and "false" are booleans. For GitHub, the fields of [GitHubJob] in
// lower case say what the rest is made from: /mint?repository=acme/app&ref=….
func (is *Issuer) mint(w http.ResponseWriter, r *http.Request, kind IssuerKind) {
	q := r.URL.Query()
	var claims map[string]any
	switch kind {
	case Email:
		claims = map[string]any{"sub": is.user, "email": is.user, "email_verified": true}
	case GitHub:
		claims = githubClaims(GitHubJob{
			Repository: q.Get("repository"), Workflow: q.Get("workflow"), Ref: q.Get("ref"), SHA: q.Get("sha"),
			Event: q.Get("event"), RunID: q.Get("runid"), Runner: q.Get("runner"), Signer: q.Get("signer"),
		})
		for _, field := range []string{"workflow", "event", "runid", "runner", "signer"} { // not claims of that meaning
			q.Del(field)
		}
	case GitLab:
		claims = gitlabClaims(cmp.Or(q.Get("project_path"), "acme/app"))
	case Buildkite:
		claims = buildkiteClaims(cmp.Or(q.Get("organization_slug"), "acme"), cmp.Or(q.Get("pipeline_slug"), "app"))
	}
	for name, values := range q {
		switch v := values[0]; v {
		case "true", "false":
			claims[name] = v == "true"
		default:
			claims[name] = v
		}
	}
	fmt.Fprint(w, is.Token(kind, claims))
}

// actions answers as the token service of GitHub Actions does.
func (is *Issuer) actions(w http.ResponseWriter, r *http.Request, kind IssuerKind) {
	if r.Header.Get("Authorization") != "Bearer "+ActionsToken {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	claims := githubClaims(GitHubJob{})
	claims["aud"] = r.FormValue("audience")
	token := is.Token(kind, claims)
	writeJSON(w, 200, map[string]any{"count": len(token), "value": token})
}
