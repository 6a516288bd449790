package registry

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// account is a registry as the configuration file of Docker names it.
func account(registry string) (name.Registry, string, error) {
	r, err := name.NewRegistry(registry)
	if err != nil {
		return r, "", err
	}
	if r.RegistryStr() == name.DefaultRegistry {
		return r, authn.DefaultAuthKey, nil
	}
	return r, r.RegistryStr(), nil
}

// Login asks the registry whether the credentials are good, and keeps them: with the credential helper that the
// configuration file (DOCKER_CONFIG, else ~/.docker/config.json) names, else in that file. It returns where that is.
func Login(ctx context.Context, registry, user, password string) (kept string, err error) {
	r, key, err := account(registry)
	if err != nil {
		return "", err
	}
	t, err := transport.NewWithContext(ctx, r, &authn.Basic{Username: user, Password: password}, http.DefaultTransport, nil)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+r.RegistryStr()+"/v2/", nil)
	if err != nil {
		return "", err
	}
	response, err := (&http.Client{Transport: t}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if err := transport.CheckError(response, http.StatusOK); err != nil {
		return "", err
	}
	file, err := config.Load(os.Getenv("DOCKER_CONFIG")) // "" is ~/.docker
	if err != nil {
		return "", err
	}
	store := file.GetCredentialsStore(key)
	if err := store.Store(types.AuthConfig{ServerAddress: key, Username: user, Password: password}); err != nil {
		return "", err
	}
	return file.GetFilename(), nil
}

// Logout forgets the credentials for a registry.
func Logout(registry string) error {
	_, key, err := account(registry)
	if err != nil {
		return err
	}
	file, err := config.Load(os.Getenv("DOCKER_CONFIG")) // "" is ~/.docker
	if err != nil {
		return err
	}
	store := file.GetCredentialsStore(key)
	have, err := store.Get(key)
	if err != nil {
		return err
	}
	if have.Username == "" && have.IdentityToken == "" {
		return errors.New("there are no credentials for " + registry)
	}
	return store.Erase(key)
}
