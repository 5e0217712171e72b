"""What people see: server-rendered, all of it works without JavaScript, and nothing comes from outside.

``routes``   addresses and what answers them
``lists``, ``details``  from the database to what a template shows;  ``columns``  what a list has
``render``   templates and the headers of every answer;  ``wording``  texts, ages, reasons in a sentence
``live``     tells open pages that something changed;  ``uploads``  takes SBOMs;  ``downloads``  gives exports
"""
