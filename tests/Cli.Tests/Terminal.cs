using Xfrmd.Cli.Commands;

namespace Xfrmd.Cli.Tests;

/// <summary>Types a command and reads what it says.</summary>
internal readonly record struct Terminal(int Code, string Output, string Errors)
{
    public static Terminal Type(params string[] arguments)
    {
        (TextWriter output, TextWriter errors) = (Console.Out, Console.Error);
        using StringWriter said = new(), complained = new();
        try
        {
            Console.SetOut(said);
            Console.SetError(complained);
            int code = CommandLine.Invoke(arguments);
            return new Terminal(code, said.ToString(), complained.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(errors);
        }
    }
}
