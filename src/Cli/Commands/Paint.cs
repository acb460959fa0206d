namespace Xfrmd.Cli.Commands;

/// <summary>Colour on a terminal, plain text elsewhere or where NO_COLOR is set (no-color.org).</summary>
internal static class Paint
{
    private static readonly bool Coloured = !Console.IsOutputRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    public static string Good(string text) => With("32", text);

    public static string Bad(string text) => With("31", text);

    public static string Warn(string text) => With("33", text);

    public static string Strong(string text) => With("1", text);

    public static string Faint(string text) => With("2", text);

    private static string With(string code, string text) => Coloured ? $"\e[{code}m{text}\e[0m" : text;
}
