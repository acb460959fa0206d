using System.CommandLine;

namespace Xfrmd.Cli.Commands;

/// <summary><c>xfrmd completion</c>: scripts that ask the program itself ([suggest], System.CommandLine).</summary>
internal static class CompletionCommand
{
    public static CliCommand Create()
    {
        Argument<string> shell = new("shell") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        return new CliCommand("completion", "Print the script by which a shell completes these commands.",
            "source <(xfrmd completion bash)", "xfrmd completion zsh > \"${fpath[1]}/_xfrmd\"", "xfrmd completion fish > ~/.config/fish/completions/xfrmd.fish")
        {
            shell,
        }.Does(parsed => Execute(parsed.GetValue(shell)!));
    }

    private static int Execute(string shell)
    {
        Console.Out.Write(shell switch
        {
            "zsh" => """
                #compdef xfrmd
                _xfrmd() {
                  local -a candidates
                  candidates=("${(@f)$(xfrmd "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
                  compadd -- $candidates
                }
                compdef _xfrmd xfrmd

                """,
            "fish" => """
                function __xfrmd_complete
                    set -l line (commandline -cp)
                    xfrmd "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
                end
                complete -c xfrmd -f -a '(__xfrmd_complete)'

                """,
            _ => """
                _xfrmd() {
                  local IFS=$'\n'
                  COMPREPLY=($(compgen -W "$(xfrmd "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
                }
                complete -o default -F _xfrmd xfrmd

                """,
        });
        return ExitCode.Done;
    }
}
