using System.Diagnostics;

namespace Xfrmd.Cli.Commands;

/// <summary>What another program said. Only short-lived ones are asked.</summary>
/// <param name="Code">Its exit code; -1 where it is not installed.</param>
/// <param name="Output">Standard output.</param>
/// <param name="Errors">Standard error.</param>
internal readonly record struct ProgramResult(int Code, string Output, string Errors)
{
    public bool IsMissing => Code < 0;

    public static ProgramResult Of(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return new ProgramResult(process.ExitCode, output, errors.GetAwaiter().GetResult());
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return new ProgramResult(-1, "", program + " is not installed");
        }
    }
}
