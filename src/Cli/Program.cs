using Xfrmd.Cli.Commands;

// The launcher goes first and alone: it must start in milliseconds and leave no trace in the process that the program inherits.
if (args is ["run", .. var rest] && RunCommand.TryParse(rest, out RunCommand run))
{
    return run.Execute();
}
// Not the console's own writer: it would begin with putting a terminal's keys into another mode, which text needs not.
Console.SetOut(new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true });
return CommandLine.Invoke(args);
