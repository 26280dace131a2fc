package purl

import (
	"errors"
	"strings"
)

// A rule is what a type says beyond the general rules.
type rule struct {
	lowerNamespace bool
	lowerName      bool
	lowerVersion   bool
	needNamespace  bool
	noNamespace    bool
	needVersion    bool
	needQualifier  string
	more           func(*PURL) error
}

var rules = map[string]rule{
	"alpm":             {needNamespace: true, lowerNamespace: true, lowerName: true},
	"apk":              {needNamespace: true, lowerNamespace: true, lowerName: true},
	"bazel":            {noNamespace: true},
	"bitbucket":        {needNamespace: true, lowerNamespace: true, lowerName: true},
	"bitnami":          {noNamespace: true, lowerName: true},
	"brew":             {lowerNamespace: true, lowerName: true},
	"cargo":            {noNamespace: true},
	"chrome-extension": {noNamespace: true, more: chromeExtension},
	"cocoapods":        {noNamespace: true},
	"composer":         {needNamespace: true, lowerNamespace: true, lowerName: true},
	"conan":            {more: conan},
	"conda":            {noNamespace: true, lowerName: true},
	"cpan":             {more: cpan},
	"cran":             {noNamespace: true},
	"deb":              {needNamespace: true, lowerNamespace: true, lowerName: true},
	"gem":              {noNamespace: true},
	"github":           {needNamespace: true, lowerNamespace: true, lowerName: true},
	"golang":           {lowerNamespace: true, lowerName: true},
	"hackage":          {noNamespace: true},
	"hex":              {lowerNamespace: true, lowerName: true},
	"huggingface":      {lowerVersion: true},
	"julia":            {noNamespace: true, needQualifier: "uuid"},
	"luarocks":         {lowerNamespace: true, lowerName: true},
	"maven":            {needNamespace: true},
	"mlflow":           {noNamespace: true, more: mlflow},
	"npm":              {lowerNamespace: true, lowerName: true},
	"nuget":            {noNamespace: true},
	"oci":              {noNamespace: true, lowerName: true},
	"otp":              {noNamespace: true, lowerName: true},
	"pub":              {noNamespace: true, lowerName: true, more: pub},
	"pypi":             {noNamespace: true, lowerName: true, more: pypi},
	"qpkg":             {needNamespace: true, lowerNamespace: true},
	"rpm":              {lowerNamespace: true},
	"swid":             {needQualifier: "tag_id"},
	"swift":            {needNamespace: true, needVersion: true},
	"vcpkg":            {noNamespace: true},
	"vscode-extension": {needNamespace: true, lowerNamespace: true, lowerName: true},
	"git":              {needNamespace: true, more: git},
}

func applyType(p *PURL) error {
	r := rules[p.Type]
	if r.lowerNamespace {
		p.Namespace = strings.ToLower(p.Namespace)
	}
	if r.lowerName {
		p.Name = strings.ToLower(p.Name)
	}
	if r.lowerVersion {
		p.Version = strings.ToLower(p.Version)
	}
	switch {
	case r.needNamespace && p.Namespace == "":
		return errors.New("wants a namespace")
	case r.noNamespace && p.Namespace != "":
		return errors.New("has no namespace")
	case r.needVersion && p.Version == "":
		return errors.New("wants a version")
	case r.needQualifier != "" && p.Qualifier(r.needQualifier) == "":
		return errors.New("wants the qualifier " + r.needQualifier)
	}
	if r.more != nil {
		return r.more(p)
	}
	return nil
}

// pypi treats - and _ the same (the specification replaces _ only).
func pypi(p *PURL) error {
	p.Name = strings.ReplaceAll(p.Name, "_", "-")
	return nil
}

func pub(p *PURL) error {
	for i := range len(p.Name) {
		c := p.Name[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return errors.New("name wants letters, digits and _ only")
		}
	}
	return nil
}

// mlflow names are case sensitive on Azure ML and not on Databricks.
func mlflow(p *PURL) error {
	if strings.Contains(p.Qualifier("repository_url"), "azuredatabricks") {
		p.Name = strings.ToLower(p.Name)
	}
	return nil
}

// cpan knows distributions, which have no ::; modules are not packages.
func cpan(p *PURL) error {
	if strings.Contains(p.Name, "::") {
		return errors.New("wants a distribution name, found a module name")
	}
	p.Namespace = strings.ToUpper(p.Namespace)
	return nil
}

// conan's user and channel come together or not at all.
func conan(p *PURL) error {
	if p.Namespace == "" && p.Qualifier("channel") != "" {
		return errors.New("has a channel but no namespace")
	}
	return nil
}

// chromeExtension ids are 32 letters a to p; versions one to four numbers.
func chromeExtension(p *PURL) error {
	if len(p.Name) != 32 || strings.Trim(p.Name, "abcdefghijklmnop") != "" {
		return errors.New("name wants 32 letters from a to p")
	}
	if p.Version == "" {
		return nil
	}
	parts := strings.Split(p.Version, ".")
	if len(parts) > 4 {
		return errors.New("version of more than four numbers")
	}
	for _, n := range parts {
		if n == "" || strings.Trim(n, "0123456789") != "" {
			return errors.New("version wants numbers separated by dots")
		}
	}
	return nil
}

// git has the host as its namespace and the whole path as its name. Only some
// hosts ignore the case of a path.
func git(p *PURL) error {
	if host, path, ok := strings.Cut(p.Namespace, "/"); ok {
		p.Namespace, p.Name = host, path+"/"+p.Name
	}
	p.Namespace = strings.ToLower(p.Namespace)
	switch p.Namespace {
	case "github", "github.com", "bitbucket.org":
		p.Name = strings.ToLower(p.Name)
	}
	return nil
}
