package cli

import "github.com/locald/locald/internal/container"

// The names of containers on their own. Their state is taken as it was last noted: a key pressed starts nothing.
func namesWhere(wanted func(*container.Container) bool) (names []string) {
	store, err := containers()
	if err != nil {
		return nil
	}
	list, _ := store.List()
	for _, c := range list {
		if wanted(c) {
			names = append(names, c.Name)
		}
	}
	return names
}

func containerNames() []string { return namesWhere(func(*container.Container) bool { return true }) }

func runningNames() []string {
	return namesWhere(func(c *container.Container) bool {
		return c.State.Lives()
	})
}
