# bash completion of bermctl, made by: bermctl completion bash
# shellcheck shell=bash disable=SC2207 # words are split on purpose
_bermctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=
	local command=${COMP_WORDS[1]}

	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W 'status endpoints policies rules sessions flows why diff history confirm rollback lint probe version completion help' -- "$cur"))
		return
	fi
	[ "$cur" = = ] && cur=
	[ "$prev" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}
	case $command:$prev in
	status:--output | status:-o) words='table wide json yaml name' ;;
	status:--color) words='auto always never' ;;
	status:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	endpoints:--output | endpoints:-o) words='table wide json yaml name' ;;
	endpoints:--color) words='auto always never' ;;
	endpoints:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	policies:--output | policies:-o) words='table wide json yaml name' ;;
	policies:--color) words='auto always never' ;;
	policies:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	rules:--output | rules:-o) words='table wide json yaml name' ;;
	rules:--color) words='auto always never' ;;
	rules:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	sessions:--state) words='half-open established closing expired' ;;
	sessions:--output | sessions:-o) words='table wide json yaml name' ;;
	sessions:--color) words='auto always never' ;;
	sessions:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	flows:--verdict) words='forwarded dropped ended' ;;
	flows:--direction) words='ingress egress' ;;
	flows:--output | flows:-o) words='table wide json yaml name' ;;
	flows:--color) words='auto always never' ;;
	flows:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	why:--output | why:-o) words='table wide json yaml name' ;;
	why:--color) words='auto always never' ;;
	why:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	diff:--filename | diff:-f) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	diff:--output | diff:-o) words='table wide json yaml name' ;;
	diff:--color) words='auto always never' ;;
	diff:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	history:--output | history:-o) words='table wide json yaml name' ;;
	history:--color) words='auto always never' ;;
	history:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	confirm:--output | confirm:-o) words='table wide json yaml name' ;;
	confirm:--color) words='auto always never' ;;
	confirm:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	rollback:--output | rollback:-o) words='table wide json yaml name' ;;
	rollback:--color) words='auto always never' ;;
	rollback:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	lint:--filename | lint:-f) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	lint:--with | lint:-W) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	lint:--output | lint:-o) words='table wide json yaml name' ;;
	lint:--color) words='auto always never' ;;
	lint:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	probe:--output | probe:-o) words='table wide json yaml name' ;;
	probe:--color) words='auto always never' ;;
	probe:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	version:--output | version:-o) words='table wide json yaml name' ;;
	version:--color) words='auto always never' ;;
	version:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	completion:--output | completion:-o) words='table wide json yaml name' ;;
	completion:--color) words='auto always never' ;;
	completion:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	help:--output | help:-o) words='table wide json yaml name' ;;
	help:--color) words='auto always never' ;;
	help:--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	*) case $command in
		status) words='--help --output -o --color --socket --watch -w --interval' ;;
		endpoints) words='--help --output -o --color --socket --watch -w --interval' ;;
		policies) words='--help --output -o --color --socket --watch -w --interval' ;;
		rules) words='--help --namespace -n --policy --unused --output -o --color --socket --watch -w --interval' ;;
		sessions) words='--help --pod -p --namespace -n --port --peer --state --limit --count --output -o --color --socket --watch -w --interval' ;;
		flows) words='--help --follow -f --verdict --direction --pod -p --namespace -n --port --rule --since --last --output -o --color --socket' ;;
		why) words='--help --protocol --source-port --new --ipv4 -4 --ipv6 -6 --output -o --color --socket' ;;
		diff) words='--help --filename -f --file --delete --question --output -o --color --socket' ;;
		history) words='--help --output -o --color --socket' ;;
		confirm) words='--help --output -o --color --socket' ;;
		rollback) words='--help --dry-run --cancel --output -o --color --socket' ;;
		lint) words='--help --filename -f --strict -s --with -W --agent --codes --output -o --color --socket' ;;
		probe) words='--help --output -o --color --socket' ;;
		version) words='--help --output -o --color --socket' ;;
		completion) words='--help --output -o --color --socket' ;;
		help) words='--help --output -o --color --socket' ;;
		esac
		case $command in
		help) words="$words status endpoints policies rules sessions flows why diff history confirm rollback lint probe version completion help" ;;
		completion) words="$words bash zsh fish" ;;
		esac ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _bermctl bermctl
