# The shell history is in /tmp, because the home directory is read-only.
HISTFILE=/tmp/.local/state/bash_history
PS1='\[\e[1;34m\]\w\[\e[0m\] \$ '
alias ls='ls --color=auto'
alias ll='ls -l'
