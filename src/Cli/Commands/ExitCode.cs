namespace Xfrmd.Cli.Commands;

/// <summary>What every command but <c>run</c> ends with.</summary>
internal static class ExitCode
{
    public const int Done = 0, Failed = 1, WrongUsage = 2;
}
