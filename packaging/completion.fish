# Completion for fish: the program itself knows its commands, flags and configured names.
function __scriptbridge_complete
    set -l words (commandline -opc) (commandline -ct)
    scriptbridge --completion-bash $words[2..-1] 2>/dev/null
end
complete -c scriptbridge -a '(__scriptbridge_complete)'
