using System.Diagnostics;

namespace Xfrmd.Interop.Harness;

/// <summary>Runs a program to its end.</summary>
public static class Command
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(90);

    public static CommandResult Run(IReadOnlyList<string> command, string? input = null, TimeSpan? timeout = null)
    {
        ProcessStartInfo start = new(command[0], command.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string line = string.Join(' ', command);
        using Process process = Process.Start(start) ?? throw new InteropException($"`{line}` did not start");
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        if (input is not null)
        {
            process.StandardInput.Write(input);
        }
        process.StandardInput.Close();
        if (!process.WaitForExit(timeout ?? DefaultTimeout))
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
            throw new InteropException($"`{line}` did not end in time:\n{TextOf(output)}{TextOf(errors)}");
        }
        return new CommandResult(line, process.ExitCode, TextOf(output), TextOf(errors));
    }

    // A child that was left running may hold the pipe open: what came until now is enough.
    private static string TextOf(Task<string> reader) => reader.Wait(TimeSpan.FromSeconds(2)) ? reader.Result : string.Empty;
}
