namespace Xfrmd.Cli.Commands;

/// <summary>What was typed makes no sense; the message says what.</summary>
internal sealed class UsageException(string message) : Exception(message);
