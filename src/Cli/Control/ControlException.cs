namespace Xfrmd.Cli.Control;

/// <summary>The daemon could not be asked, or refused; the message is a sentence for a person.</summary>
internal sealed class ControlException(string message) : Exception(message);
