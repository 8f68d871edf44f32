package main

import (
	"encoding/json"
	"strconv"

	"github.com/spf13/cobra"

	"otor/hub/reconcile"
	"otor/hub/server"
	"otor/hub/store"
	"otor/internal/cli"
)

// newItemsDecide decides a conflict, newItemsUndo takes that back.
func newItemsDecide(app *cli.App) *cobra.Command {
	var choice, value, reason string
	cmd := &cobra.Command{
		Use: "decide ID", Short: "Decide an item: a conflict, a duplicate, a twin, a review or a flag",
		Long: "Decides an item that hub items lists. Of a duplicate or a twin (perhaps the same movement) link says that it is the same and\n" +
			"does not count, keep that it is another and counts; of a review accept or return (its author is told --reason); of a\n" +
			"flag clear. Of a conflict --choice A takes its first side, B the second, and so on; other takes\n" +
			"--value; ask sends --reason to the devices of the sides as a question, and the item stays open. The value goes\n" +
			"to all devices. If somebody wrote the field meanwhile nothing is decided (exit code 3).",
		Args: oneItem,
		RunE: func(cmd *cobra.Command, args []string) error {
			if value != "" && choice != reconcile.ChooseOther {
				return cli.Misuse("--value", "%q chooses no value of its own", "give --value with --choice other alone", choice)
			}
			return ruleOn(cmd, app, args[0], choice, value, reason)
		},
	}
	f := cmd.Flags()
	f.StringVar(&choice, "choice", "", "link or keep, accept or return, clear; of a conflict the `side`: A, B, ..., other or ask")
	f.StringVar(&value, "value", "", "the other `value`; a group as a JSON object")
	f.StringVar(&reason, "reason", "", "`why`, for the ledger; with ask, the question; needed")
	return cmd
}

func newItemsUndo(app *cli.App) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "undo ID", Short: "Take a decision back within 24 hours: the sides are in conflict again",
		Args: oneItem,
		RunE: func(cmd *cobra.Command, args []string) error {
			return ruleOn(cmd, app, args[0], reconcile.ChooseUndo, "", reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the ledger; needed")
	return cmd
}

func oneItem(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Misuse("ID", "%d arguments", "name one item, as hub items shows it", len(args))
	}
	return nil
}

// ruleOn decides about an item as it is listed now: what comes in between makes
// the hub refuse it.
func ruleOn(cmd *cobra.Command, app *cli.App, arg, choice, value, reason string) error {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return cli.Misuse("ID", "%q is no item's number", "name it as hub items shows it", arg)
	}
	return reads().with(cmd.Context(), app, func(o office, _ bool) error {
		ru := server.Ruling{Choice: choice, Reason: reason}
		if value != "" {
			if ru.Value = json.RawMessage(value); !json.Valid(ru.Value) {
				if ru.Value, err = json.Marshal(value); err != nil {
					return err
				}
			}
		}
		items, err := o.Items(cmd.Context(), true)
		if err != nil {
			return err
		}
		for _, it := range items {
			if it.ID != id || choice == reconcile.ChooseUndo {
				continue
			}
			if it.Kind != store.Conflicts {
				ru.Seen = it.Entries
				continue
			}
			var e reconcile.Dispute
			if err := json.Unmarshal(it.Evidence, &e); err != nil {
				return err
			}
			ru.Seen = e.Displayed
		}
		it, err := o.Decide(cmd.Context(), id, ru)
		if err != nil {
			return err
		}
		if app.JSON {
			return app.PrintJSON(it)
		}
		return app.Printf("Item %d, %s of %s: %s.\n", it.ID, it.Field, it.Entity, it.State)
	})
}
