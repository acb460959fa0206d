namespace Xfrmd.Cli.Control;

/// <summary>One line of <c>xfrmd doctor</c>.</summary>
/// <param name="Name">What was looked at.</param>
/// <param name="Status">ok, warning or failure.</param>
/// <param name="Found">What was found.</param>
/// <param name="Fix">What to do, where it is not ok.</param>
internal sealed record DoctorCheck(string Name, string Status, string Found, string? Fix = null)
{
    public const string Ok = "ok", Warning = "warning", Failure = "failure";
}
